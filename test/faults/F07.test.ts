import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { type OwnTokenPair, startOwnTokenPair } from '../support/authority.ts'
import { createFakeClock } from '../support/clock.ts'
import { FIGURES } from './figures.ts'

describe('F07 the key manager refuses the own token', () => {
  let pair: OwnTokenPair
  afterEach(() => pair.close())

  it('P22 a burst costs one renewal, and every Check is answered by the repeated call', async () => {
    pair = await startOwnTokenPair({ flags: { 'keyManager.maxWaiting': '20000', 'keyManager.timeout': '60s' } })
    expect((await pair.ask('Bearer good-first')).reason).to.equal('allowed')
    pair.authority.live.clear()
    const before = pair.authority.tokenRequests.length
    const seen = await Promise.all(
      Array.from({ length: FIGURES.F07.burst }, (_, index) => pair.ask(`Bearer good-${index}`, { deadlineMs: 60_000 })),
    )
    expect(pair.authority.tokenRequests.length - before).to.equal(FIGURES.F07.tokenRequests)
    const reasons = new Set(seen.map(({ reason }) => reason))
    expect([...reasons]).to.deep.equal(['allowed'])
  })

  it('P22 a second refusal is 503, does not renew again for 30 s, and the token is not sent again', async () => {
    const clock = createFakeClock({ wallMs: Date.now() })
    pair = await startOwnTokenPair({ clock })
    expect((await pair.ask('Bearer good-1')).reason).to.equal('allowed')
    pair.authority.onIntrospect = () => ({ status: 401, body: '' })
    const first = await pair.ask('Bearer good-2')
    expect(first.status).to.equal('ServiceUnavailable')
    expect(first.headers['www-authenticate']).to.equal(undefined)
    expect(pair.authority.tokenRequests).to.have.length(2)
    expect(pair.authority.introspections).to.have.length(3)

    clock.advance(29_000)
    expect((await pair.ask('Bearer good-3')).reason).to.equal('key_manager_unavailable')
    expect(pair.authority.tokenRequests).to.have.length(2)
    expect(pair.authority.introspections).to.have.length(3)

    pair.authority.onIntrospect = undefined
    clock.advance(2_000)
    expect((await pair.ask('Bearer good-4')).reason).to.equal('allowed')
    expect(pair.authority.tokenRequests).to.have.length(3)
  })

  it('django-oauth-toolkit: 403 without a challenge for a dead own token fails no Check', async () => {
    pair = await startOwnTokenPair()
    await pair.ask('Bearer good-1')
    const { authority } = pair
    authority.onIntrospect = (request) =>
      authority.live.has(request.headers['authorization']?.slice('Bearer '.length) ?? '')
        ? { body: { active: true } }
        : { status: 403, headers: { 'content-type': 'text/html' }, body: '' }
    authority.live.clear()
    expect((await pair.ask('Bearer good-2')).reason).to.equal('allowed')
    expect(authority.tokenRequests).to.have.length(2)
  })

  it('P25 a direct token without refresh is marked rejected for 30 s', async () => {
    const clock = createFakeClock({ wallMs: Date.now() })
    pair = await startOwnTokenPair({ grant: 'direct', clock })
    const refused = [await pair.ask('Bearer good-1'), await pair.ask('Bearer good-2')]
    expect(refused.map(({ status }) => status)).to.deep.equal(['ServiceUnavailable', 'ServiceUnavailable'])
    // Product 2.1: neither is the breaker open nor a 429 honoured.
    expect(refused.map(({ headers }) => headers['retry-after'])).to.deep.equal(['1', '1'])
    expect(pair.authority.introspections).to.have.length(1)
    expect(await pair.metric('microgw_own_token_renewals_total{grant="direct",outcome="rejected"}')).to.equal(1)
    expect(pair.running.logs.join('')).to.include('own_token_rejected')
    pair.authority.live.add('own-0')
    clock.advance(30_001)
    expect((await pair.ask('Bearer good-3')).reason).to.equal('allowed')
    expect(pair.authority.tokenRequests).to.have.length(0)
  })
})
