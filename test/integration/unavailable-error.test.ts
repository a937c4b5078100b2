import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { httpCheck } from '../support/check-client.ts'
import type { Handler, ScriptedAnswer } from '../support/key-manager.ts'
import { type Pair, startPair } from '../support/pair.ts'

/** Which half of the reply carries the refusal, its HTTP status and reason, and how it was counted. */
async function refusal(pair: Pair, token: string): Promise<string> {
  const reply = await pair.client.check(httpCheck({ headers: { authorization: `Bearer ${token}` } }))
  const half = reply.error_response === undefined ? 'denied_response' : 'error_response'
  const reason = reply.dynamic_metadata?.fields?.['reason']?.stringValue ?? ''
  const decision = half === 'error_response' ? 'error' : 'deny'
  const counted = await pair.metric(`microgw_checks_total{decision="${decision}",reason="${reason}"}`)
  return `${half} ${reply[half]?.status?.code} ${reason} ${counted}`
}

describe('extAuthz.unavailable = "error"', () => {
  let pair: Pair
  afterEach(() => pair.close())

  const OUTAGES: Readonly<Record<string, ScriptedAnswer | Handler>> = {
    'a 500': { status: 500 },
    'a 401 to us': { status: 401, body: { error: 'invalid_client' } },
    'a 429': { status: 429 },
    'a broken connection': (_, { socket }) => {
      socket.destroy()
      return undefined
    },
  }
  for (const [name, answer] of Object.entries(OUTAGES)) {
    it(`is an error_response after ${name}`, async () => {
      pair = await startPair({ flags: { 'extAuthz.unavailable': 'error' } })
      pair.keyManager.answer(answer)
      expect(await refusal(pair, 't')).to.equal('error_response ServiceUnavailable key_manager_unavailable 1')
    })
  }

  /** A client may choose a token for which a server answers so: with `failure_mode_allow` that would be its way in. */
  const OF_ONE_TOKEN: Readonly<Record<string, ScriptedAnswer>> = {
    'a 400': { status: 400, body: { error: 'invalid_request', error_description: 'Failed to introspect token.' } },
    'a 413': { status: 413 },
    'an answer that is none': { body: { active: 'yes' } },
  }
  for (const [name, answer] of Object.entries(OF_ONE_TOKEN)) {
    it(`is a denied_response after ${name}`, async () => {
      pair = await startPair({ flags: { 'extAuthz.unavailable': 'error' } })
      pair.keyManager.answer(answer)
      expect(await refusal(pair, 't')).to.equal('denied_response ServiceUnavailable key_manager_unavailable 1')
    })
  }
})
