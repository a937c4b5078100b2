/** spec/oauth.md, the statements that hang on configuration, over the real app. */
import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { type OwnTokenPair, startOwnTokenPair } from '../support/authority.ts'
import { createFakeClock } from '../support/clock.ts'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'
import { errorsOf, GOOD, load } from '../unit/config/writing.ts'

describe('OAuth, as configured', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('C30 C32 remembers an answer for tokenCacheExpiryTime; 0 asks every time', async () => {
    const clock = createFakeClock({ wallMs: Date.now() })
    pair = await startPair({ clock, toml: '[caching]\ntokenCacheExpiryTime = "10s"\n' })
    pair.keyManager.tokens.set('good', { active: true, exp: inSeconds(3600) })
    for (let asked = 0; asked < 3; asked += 1) await pair.ask('Bearer good')
    expect(pair.keyManager.requests).to.have.length(1)
    clock.advance(10_000)
    expect((await pair.ask('Bearer good')).cache).to.equal('miss')
    await pair.close()
    pair = await startPair({ toml: '[caching]\ntokenCacheExpiryTime = 0\n' })
    pair.keyManager.tokens.set('good', { active: true })
    for (let asked = 0; asked < 3; asked += 1) await pair.ask('Bearer good')
    expect(pair.keyManager.requests).to.have.length(3)
  })

  it('C33 token fishing meets a bound: maxInFlight at once, maxWaiting behind, the rest refused', async () => {
    pair = await startPair({ flags: { 'keyManager.maxInFlight': '2', 'keyManager.maxWaiting': '3' } })
    const { promise, resolve } = Promise.withResolvers<void>()
    pair.keyManager.answer(async () => {
      await promise
      return { body: { active: false } }
    })
    const asked = Array.from({ length: 10 }, (_, index) => pair.ask(`Bearer fished-${index}`))
    while ((await pair.metric('microgw_checks_total{decision="deny",reason="overloaded"}')) < 5);
    while (pair.keyManager.requests.length < 2) await new Promise(setImmediate)
    resolve()
    const reasons = (await Promise.all(asked)).map(({ reason }) => reason)
    expect(reasons.filter((reason) => reason === 'overloaded')).to.have.length(5)
    expect(reasons.filter((reason) => reason === 'inactive_token')).to.have.length(5)
    expect(pair.keyManager.mostInFlight).to.equal(2)
  })

  it('C80 an audience that is asked for must be in aud, on the hit as on the miss', async () => {
    pair = await startPair({ toml: '[policy]\naudience = ["https://api.example.com"]\n' })
    pair.keyManager.tokens.set('ours', { active: true, aud: ['x', 'https://api.example.com'] })
    pair.keyManager.tokens.set('theirs', { active: true, aud: 'https://api.example.com/' })
    pair.keyManager.tokens.set('nobodys', { active: true })
    for (const _time of [1, 2]) {
      expect((await pair.ask('Bearer ours')).reason).to.equal('allowed')
      expect((await pair.ask('Bearer theirs')).reason).to.equal('wrong_audience')
      expect((await pair.ask('Bearer nobodys')).reason).to.equal('wrong_audience')
    }
  })

  it('C83 the challenge names the resource metadata where it is configured', async () => {
    const metadata = 'https://api.example.com/.well-known/oauth-protected-resource'
    pair = await startPair({ flags: { 'extAuthz.resourceMetadata': metadata } })
    expect((await pair.ask(undefined)).headers['www-authenticate']).to.include(`resource_metadata="${metadata}"`)
    expect((await pair.ask('Bearer bad')).headers['www-authenticate']).to.include(`resource_metadata="${metadata}"`)
  })

  it('C85 every header the sidecar may set is overwritten or removed on an allow', async () => {
    pair = await startPair()
    pair.keyManager.tokens.set('good', { active: true, sub: 'alice' })
    const seen = await pair.ask('Bearer good')
    expect(seen.headers['x-auth-subject']).to.equal('alice')
    for (const name of ['x-auth-username', 'x-auth-client-id', 'x-auth-scope', 'x_auth_subject', 'x_auth_username'])
      expect(seen.removed).to.include(name)
  })

  it('C55 a refresh answer without a refresh token keeps the old one', async () => {
    const clock = createFakeClock({ wallMs: Date.now() })
    const own: OwnTokenPair = await startOwnTokenPair({ grant: 'direct+refresh', clock })
    pair = own
    await own.ask('Bearer good-1')
    clock.advance(3_600_000 * 0.8)
    while (own.authority.tokenRequests.length < 2) await new Promise(setImmediate)
    expect(own.authority.tokenRequests.map(({ form }) => form.get('refresh_token'))).to.deep.equal([
      'refresh-0',
      'refresh-0',
    ])
  })
})

describe('OAuth, at load', () => {
  it('C45 a user id with a colon is refused where it would go raw into the header', () => {
    const colon = GOOD.replace('"gateway"', '"gate:way"')
    expect(errorsOf(load(colon))[0]).to.include('`:`')
    expect(errorsOf(load(`${colon}encoding = "form"\n`))).to.deep.equal([])
    expect(errorsOf(load(`${colon}method = "post"\n`))).to.deep.equal([])
  })

  it('C82 a resource indicator is an absolute URI without a fragment', () => {
    const withResource = (resource: string): readonly string[] =>
      errorsOf(
        load(`[keyManager]
external = true
[keymanager.security.oauth2]
enabled = true
tokenUrl = "https://as.example.com/token"
[keymanager.security.oauth2.clientCredential]
enabled = true
clientId = "gw"
resource = ${JSON.stringify([resource])}
`),
      )
    expect(withResource('https://api.example.com/')).to.deep.equal([])
    expect(withResource('urn:example:api')).to.deep.equal([])
    for (const bad of ['api', '/relative', 'https://api.example.com/#part'])
      expect(withResource(bad)[0]).to.include('RFC 8707')
  })
})
