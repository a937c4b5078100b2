import { expect } from 'chai'
import { describe, it } from 'mocha'
import type { Status } from '../../../src/server/status.ts'
import { verdictOf } from '../../../src/server/verdict.ts'
import { STARTED, withKeyManager } from '../../support/status.ts'

const GOOD = { at: '2026-11-25T10:00:00.000Z', tookMs: 9 }
const BAD = {
  at: '2026-11-25T10:00:01.000Z',
  tookMs: 2000,
  cause: 'timeout',
  detail: 'no complete answer within 2000 ms',
}
const FRESH = { state: 'fresh', expiresAt: undefined, nextAttemptInMs: undefined, lastError: undefined } as const

const cases: readonly { name: string; status: Status; tone: string; words: string; detail?: RegExp }[] = [
  { name: 'after a good answer', status: withKeyManager({ lastSuccess: GOOD }), tone: 'good', words: 'Answering' },
  {
    name: 'before the first Check',
    status: STARTED,
    tone: 'good',
    words: 'Ready: nothing introspected yet',
    detail: /first Check/,
  },
  { name: 'while it starts or stops', status: { ...STARTED, ready: false }, tone: 'bad', words: 'Not ready' },
  {
    name: 'with the breaker open',
    status: withKeyManager({ breaker: 'open', pausedForMs: 800, lastFailure: BAD }),
    tone: 'bad',
    words: 'Key manager unreachable: breaker open, Checks without a remembered answer get 503',
    detail: /^No complete answer within 2000 ms\. One call is tried in 800 ms\.$/,
  },
  {
    name: 'with the breaker open and its time over',
    status: withKeyManager({ breaker: 'open' }),
    tone: 'bad',
    words: 'Key manager unreachable: breaker open, Checks without a remembered answer get 503',
    detail: /^One call is tried next\.$/,
  },
  {
    name: 'with the breaker half open',
    status: withKeyManager({ breaker: 'half_open', pausedForMs: 1000 }),
    tone: 'bad',
    words: 'Key manager unreachable: breaker half open, one call is out to try it',
  },
  {
    name: 'while a 429 is honoured',
    status: withKeyManager({ pausedForMs: 7000, lastSuccess: GOOD }),
    tone: 'bad',
    words: 'Key manager asked for fewer calls (429): Checks without a remembered answer get 503',
    detail: /again in 7\.0 s/,
  },
  {
    name: 'where discovery never succeeded',
    status: withKeyManager({ discovery: 'the metadata answered 404' }),
    tone: 'bad',
    words: 'Introspection endpoint not known: Checks without a remembered answer get 503',
    detail: /^The metadata answered 404\.$/,
  },
  {
    name: 'without an own token',
    status: withKeyManager({
      ownToken: { state: 'failed', expiresAt: undefined, nextAttemptInMs: 30_000, lastError: 'invalid_client' },
    }),
    tone: 'bad',
    words: 'No own token: Checks without a remembered answer get 503',
    detail: /^Invalid_client\. Next attempt in 30 s\.$/,
  },
  {
    name: 'while the first own token is asked for',
    status: withKeyManager({ ownToken: { ...FRESH, state: 'fetching' } }),
    tone: 'warn',
    words: 'Waiting for the own token',
  },
  {
    name: 'after a failure that did not open the breaker',
    status: withKeyManager({ lastSuccess: GOOD, lastFailure: BAD }),
    tone: 'warn',
    words: 'Answering, but the last introspection failed',
  },
  {
    name: 'after a failure that is over',
    status: withKeyManager({ lastSuccess: GOOD, lastFailure: { ...BAD, at: '2026-11-25T09:00:00.000Z' } }),
    tone: 'good',
    words: 'Answering',
  },
  {
    name: 'with an own token whose renewal failed',
    status: withKeyManager({ lastSuccess: GOOD, ownToken: { ...FRESH, lastError: 'the token endpoint answered 500' } }),
    tone: 'warn',
    words: 'Answering, but the own token could not be renewed',
  },
]

describe('the verdict of the status page', () => {
  for (const { name, status, tone, words, detail } of cases) {
    it(`${name}: ${words}`, () => {
      const verdict = verdictOf(status)
      expect(verdict).to.include({ tone, words })
      if (detail !== undefined) expect(verdict.detail).to.match(detail)
    })
  }
})
