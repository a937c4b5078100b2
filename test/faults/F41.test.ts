import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'

describe('F41 one client sends tokens that make the key manager answer 400 or garbage', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('gets 503; the breaker stays closed and others pass', async () => {
    pair = await startPair()
    pair.keyManager.answer((request) => {
      const token = request.form.get('token') ?? ''
      if (token.startsWith('odd'))
        return Number(token.slice(3)) < 15 ? { body: 'garbage' } : { status: 400, body: { error: 'invalid_request' } }
      return { body: { active: true, exp: inSeconds(300) } }
    })
    for (let i = 0; i < 30; i++) expect((await pair.ask(`Bearer odd${i}`)).reason).to.equal('key_manager_unavailable')
    expect((await pair.ask('Bearer good')).allowed).to.equal(true)
    expect(await pair.metric('microgw_breaker_state{state="closed"}')).to.equal(1)
  })
})
