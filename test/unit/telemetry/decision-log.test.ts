import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import type { Log } from '../../../src/authz/ports.ts'
import { createDecisionLog } from '../../../src/telemetry/decision-log.ts'
import { checkView } from '../../support/check-view.ts'
import { ALLOWED, denied } from '../../support/fake-pipeline.ts'

function deciding(settings = { allow: false, maxDenyPerSecond: 2 }) {
  const lines: { event: string; [name: string]: unknown }[] = []
  const write = (event: string, fields?: Readonly<Record<string, unknown>>): void => {
    lines.push({ ...fields, event })
  }
  const log: Log = { debug: write, info: write, warn: write, error: write }
  let nowMs = 0
  const timers = new Set<{ atMs: number; run: () => void }>()
  const clock = {
    wallMs: () => nowMs,
    monotonicMs: () => nowMs,
    after(ms: number, run: () => void) {
      const timer = { atMs: nowMs + ms, run }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
  }
  const advance = (ms: number): void => {
    nowMs += ms
    for (const timer of timers) {
      if (timer.atMs > nowMs) continue
      timers.delete(timer)
      timer.run()
    }
  }
  return { lines, advance, decisions: createDecisionLog(settings, { log, clock }) }
}

describe('the decision log', () => {
  it('tells of a deny what operators ask for', () => {
    const { decisions, lines } = deciding()
    const check = checkView({
      method: 'POST',
      path: '/orders?access_token=canary#x',
      headers: { 'x-request-id': 'r-1' },
    })
    decisions.record(check, denied('key_manager_unavailable', 'timeout'), 'id-1', 1.23456)
    expect(lines).to.deep.equal([
      {
        event: 'decision',
        decision_id: 'id-1',
        decision: 'deny',
        reason: 'key_manager_unavailable',
        method: 'POST',
        host: 'api.example.com',
        path: '/orders',
        request_id: 'r-1',
        cache: 'none',
        duration_ms: 1.235,
        would_deny: undefined,
        detail: 'timeout',
      },
    ])
  })

  it('shows no query that is encoded either: a server that decodes first reads it as one', () => {
    const { decisions, lines } = deciding()
    for (const mark of ['?', '#', '%3F', '%3f', '%23'])
      decisions.record(checkView({ path: `/orders${mark}access_token=canary` }), denied('ambiguous_path'), 'id', 1)
    expect(JSON.stringify([lines, decisions.recent()])).to.not.include('canary')
    expect(decisions.recent().map(({ path }) => path)).to.deep.equal(Array(5).fill('/orders'))
  })

  it('is silent about allows, unless asked', () => {
    const { decisions, lines } = deciding()
    decisions.record(checkView(), ALLOWED, 'id-1', 1)
    expect(lines).to.have.length(0)
    decisions.configure({ allow: true, maxDenyPerSecond: 2 })
    decisions.record(checkView(), ALLOWED, 'id-2', 1)
    expect(lines[0]).to.include({ decision: 'allow', reason: 'allowed', cache: 'hit' })
    expect(decisions.recent()).to.have.length(0)
  })

  it('tells of an allow that a rule with enforce = false would have denied', () => {
    const { decisions, lines } = deciding()
    decisions.record(checkView(), { ...ALLOWED, wouldDeny: 'insufficient_scope' }, 'id-1', 1)
    expect(lines[0]).to.include({ decision: 'allow', would_deny: 'insufficient_scope' })
  })

  it('counts what a rule with enforce = false let pass apart from the denies', () => {
    const { decisions, lines, advance } = deciding()
    for (let count = 0; count < 5; count += 1)
      decisions.record(checkView(), { ...ALLOWED, wouldDeny: 'insufficient_scope' }, `id-${count}`, 1)
    for (let count = 0; count < 5; count += 1)
      decisions.record(checkView(), denied('insufficient_scope'), `id-1${count}`, 1)
    expect(lines.map(({ decision }) => decision)).to.deep.equal(['allow', 'allow', 'deny', 'deny'])
    advance(1000)
    expect(lines.slice(4)).to.deep.equal([
      { event: 'decisions_suppressed', reason: 'allowed', would_deny: 'insufficient_scope', suppressed: 3 },
      { event: 'decisions_suppressed', reason: 'insufficient_scope', suppressed: 3 },
    ])
  })

  it('writes at most maxDenyPerSecond lines per reason and second, then one with the suppressed count', () => {
    const { decisions, lines, advance } = deciding()
    for (let count = 0; count < 10; count += 1)
      decisions.record(checkView(), denied('inactive_token'), `id-${count}`, 1)
    decisions.record(checkView(), denied('overloaded'), 'id-x', 1)
    expect(lines.map(({ event }) => event)).to.deep.equal(['decision', 'decision', 'decision'])
    advance(1000)
    expect(lines.at(-1)).to.deep.equal({ event: 'decisions_suppressed', reason: 'inactive_token', suppressed: 8 })
    decisions.record(checkView(), denied('inactive_token'), 'id-y', 1)
    expect(lines.at(-1)).to.include({ event: 'decision', decision_id: 'id-y' })
    advance(5000)
    expect(lines).to.have.length(5)
  })

  it('writes the suppressed count at the end too', () => {
    const { decisions, lines } = deciding({ allow: false, maxDenyPerSecond: 0 })
    decisions.record(checkView(), denied('inactive_token'), 'id', 1)
    decisions.flush()
    expect(lines).to.deep.equal([{ event: 'decisions_suppressed', reason: 'inactive_token', suppressed: 1 }])
  })

  it('remembers the last 200 denies, suppressed ones included', () => {
    const { decisions } = deciding()
    for (let count = 1; count <= 250; count += 1)
      decisions.record(checkView(), denied('inactive_token'), `id-${count}`, 1)
    const recent = decisions.recent()
    expect(recent).to.have.length(200)
    expect(recent[0]?.decision_id).to.equal('id-250')
    expect(recent.at(-1)?.decision_id).to.equal('id-51')
    expect(decisions.find('id-50')).to.equal(undefined)
    expect(decisions.find('id-51')?.time).to.equal('1970-01-01T00:00:00.000Z')
  })

  it('keeps no more of a path with a long query than it shows', () => {
    setFlagsFromString('--expose-gc')
    const collect: () => void = runInNewContext('gc')
    const { decisions } = deciding()
    collect()
    const before = process.memoryUsage().heapUsed
    for (let count = 0; count < 200; count += 1) {
      const path = Buffer.alloc(512 * 1024, `/orders/4711/items?q=${count}`).toString('latin1')
      decisions.record(checkView({ path }), denied('inactive_token'), `id-${count}`, 1)
    }
    collect()
    expect(process.memoryUsage().heapUsed - before).to.be.below(20e6)
    expect(decisions.recent()[0]?.path).to.equal('/orders/4711/items')
  })

  it('F38 cuts request text', () => {
    const { decisions, lines } = deciding()
    const long = 'a'.repeat(1024 * 1024)
    decisions.record(
      checkView({ path: long, host: long, headers: { 'x-request-id': long } }),
      denied('inactive_token'),
      'id',
      1,
    )
    expect(JSON.stringify(lines[0]).length).to.be.below(5000)
  })
})
