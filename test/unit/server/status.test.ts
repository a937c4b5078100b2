import { expect } from 'chai'
import { describe, it } from 'mocha'
import { mergeStatus, type Status } from '../../../src/server/status.ts'
import { STARTED, withKeyManager } from '../../support/status.ts'

const own = { expiresAt: undefined, nextAttemptInMs: undefined, lastError: undefined }

const one: Status = {
  ...withKeyManager({ inFlight: 2, lastSuccess: { at: '2026-11-25T10:00:00.000Z', tookMs: 9 } }),
  checksInFlight: 3,
  startedAt: '2026-11-25T09:30:00.000Z',
  cache: { active: 10, inactive: 1, activeCapacity: 100, inactiveCapacity: 10 },
  totals: {
    checks: { allow: 100, deny: 3, error: 0 },
    denied: { inactive_token: 2, overloaded: 1 },
    introspections: { active: 7 },
    lookups: { hit: 90, miss: 10 },
  },
}
const other: Status = {
  ...withKeyManager({
    breaker: 'open',
    pausedForMs: 400,
    waiting: 5,
    lastError: 'no complete answer within 2000 ms',
    lastSuccess: { at: '2026-11-25T10:00:07.000Z', tookMs: 11 },
    lastFailure: { at: '2026-11-25T10:00:09.000Z', tookMs: 2000, cause: 'timeout', detail: 'late' },
    ownToken: { ...own, state: 'failed' },
  }),
  restartRequired: true,
  cache: { active: 20, inactive: 2, activeCapacity: 100, inactiveCapacity: 10 },
  totals: {
    checks: { allow: 50, deny: 1, error: 2 },
    denied: { inactive_token: 1, key_manager_unavailable: 2 },
    introspections: { active: 1, timeout: 2 },
    lookups: { hit: 9, miss: 1 },
  },
}

describe('one status for several workers', () => {
  const merged = mergeStatus([
    { pid: 11, status: one },
    { pid: 12, status: other },
  ])

  it('sums what is counted', () => {
    expect(merged.checksInFlight).to.equal(3)
    expect(merged.keyManager).to.include({ inFlight: 2, waiting: 5 })
    expect(merged.cache).to.deep.equal({ active: 30, inactive: 3, activeCapacity: 200, inactiveCapacity: 20 })
    expect(merged.totals).to.deep.equal({
      checks: { allow: 150, deny: 4, error: 2 },
      denied: { inactive_token: 3, overloaded: 1, key_manager_unavailable: 2 },
      introspections: { active: 8, timeout: 2 },
      lookups: { hit: 99, miss: 11 },
    })
  })

  it('shows the worker in most trouble, and the latest of what happened', () => {
    expect(merged.ready).to.equal(true)
    expect(merged.restartRequired).to.equal(true)
    expect(merged.startedAt).to.equal(STARTED.startedAt)
    expect(merged.keyManager).to.include({ breaker: 'open', pausedForMs: 400 })
    expect(merged.keyManager.lastError).to.equal('no complete answer within 2000 ms')
    expect(merged.keyManager.lastSuccess?.at).to.equal('2026-11-25T10:00:07.000Z')
    expect(merged.keyManager.ownToken?.state).to.equal('failed')
  })

  it('is not ready where one of them is not', () => {
    expect(
      mergeStatus([
        { pid: 11, status: one },
        { pid: 12, status: { ...other, ready: false } },
      ]).ready,
    ).to.equal(false)
  })

  it('keeps each of them', () => {
    expect(merged.workers?.map(({ pid }) => pid)).to.deep.equal([11, 12])
  })
})
