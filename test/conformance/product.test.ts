/** spec/product.md 2.1 and 2.3 against the catalogue and the flights. */
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { createAnswers } from '../../src/authz/answers.ts'
import { FAULTS, OUTCOMES } from '../../src/authz/decision.ts'
import type { Cancellation, Interest, Introspected, Reason } from '../../src/authz/ports.ts'
import { createFakeClock } from '../support/clock.ts'

const TABLE: readonly (readonly [Reason, number, number, string | undefined, number])[] = [
  ['missing_credentials', 401, 16, undefined, 900902],
  ['malformed_credentials', 400, 3, 'invalid_request', 900901],
  ['malformed_request', 400, 3, undefined, 900900],
  ['inactive_token', 401, 16, 'invalid_token', 900901],
  ['expired_token', 401, 16, 'invalid_token', 900903],
  ['premature_token', 401, 16, 'invalid_token', 900901],
  ['wrong_issuer', 401, 16, 'invalid_token', 900901],
  ['wrong_audience', 401, 16, 'invalid_token', 900901],
  ['not_an_access_token', 401, 16, 'invalid_token', 900905],
  ['binding_failed', 401, 16, 'invalid_token', 900901],
  ['insufficient_scope', 403, 7, 'insufficient_scope', 900910],
  ['wrong_client', 403, 7, undefined, 900908],
  ['missing_claim', 403, 7, undefined, 900908],
  ['no_matching_rule', 403, 7, undefined, 900908],
  ['insufficient_authentication', 401, 16, 'insufficient_user_authentication', 900901],
  ['ambiguous_path', 400, 3, undefined, 900900],
  ['invalid_route_policy', 500, 13, undefined, 900900],
  ['key_manager_unavailable', 503, 14, undefined, 900900],
  ['overloaded', 503, 8, undefined, 900900],
  ['not_http', 403, 7, undefined, 900900],
  ['internal_error', 500, 13, undefined, 900900],
]

describe('the product contract', () => {
  it('the catalogue of outcomes is the table, row by row', () => {
    for (const [reason, http, status, error, fault] of TABLE) {
      expect(OUTCOMES[reason], reason).to.include({ http, status, error, fault })
      expect(OUTCOMES[reason].challenge, reason).to.equal(error !== undefined || reason === 'missing_credentials')
    }
    expect(Object.keys(OUTCOMES).filter((reason) => !reason.startsWith('allowed'))).to.have.members(
      TABLE.map(([reason]) => reason),
    )
  })

  it("every fault has WSO2's text, to the letter", () => {
    expect(FAULTS[900901]?.description).to.equal(
      'Invalid Credentials. Make sure you have given the correct access token',
    )
    expect(FAULTS[900908]?.message).to.equal('Resource forbidden ')
    expect(FAULTS[900908]?.description).to.equal('Resource forbidden . Unclassified Authentication Failure')
    expect(FAULTS[900910]?.description).to.equal(FAULTS[900910]?.message)
  })

  it('P10 a queued introspection with no waiter left is dropped, and the next Check asks anew', async () => {
    const clock = createFakeClock()
    const calls: { interest: Interest; land: (result: Introspected) => void }[] = []
    const answers = createAnswers(
      {
        clock,
        cache: { peek: () => undefined, load: undefined, remember() {} },
        metrics: { cacheOperation() {}, waiterJoined() {} },
        introspector: {
          introspect: (_, interest) =>
            new Promise((land) => {
              interest.whenLost = () => land({ kind: 'abandoned' })
              calls.push({ interest, land })
            }),
        },
      },
      { activeLifeMs: 60_000, inactiveLifeMs: 10_000, timestampSkewMs: 0 },
    )
    const ask = (deadlineMs: number) => {
      const cancellation: Cancellation = { cancelled: false, whenCancelled: undefined }
      return answers.ask('k', 't', clock.monotonicMs() + deadlineMs, undefined, cancellation)
    }
    const early = ask(100)
    const late = ask(200)
    clock.advance(100)
    expect(await early).to.include({ ok: false })
    expect(calls[0]?.interest.wanted, 'one still waits').to.equal(true)
    clock.advance(100)
    expect(await late).to.include({ ok: false })
    expect(calls[0]?.interest.wanted).to.equal(false)
    const retry = ask(100)
    expect(calls).to.have.length(2)
    calls[1]?.land({ kind: 'inactive' })
    expect(await retry).to.include({ ok: true, cache: 'miss' })
    expect(clock.pending(), 'no timer is left').to.equal(0)
  })
})
