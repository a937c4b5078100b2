import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { type GrantTables, type OwnTokenPair, oauth2Config, startOwnTokenPair } from '../support/authority.ts'
import { createFakeClock } from '../support/clock.ts'

const BASIC = `Basic ${Buffer.from('gate%2Fway+1:s%25%2Bcret%3A%C3%BC').toString('base64')}`
const POSTED = '&client_id=gate%2Fway+1&client_secret=s%25%2Bcret%3A%C3%BC'
const SCOPED = '&scope=introspection'

/** Bodies of the first request and of the renewal; what POST_BODY_BEARER adds comes behind. */
const GRANTS: Readonly<Record<Exclude<GrantTables, 'direct'>, readonly [first: string, renewal: string]>> = {
  clientCredential: [
    'grant_type=client_credentials&scope=introspection+other',
    'grant_type=client_credentials&scope=introspection+other',
  ],
  password: [
    'grant_type=password&username=%C3%BC+ser&password=p%26ss%3Dw',
    'grant_type=password&username=%C3%BC+ser&password=p%26ss%3Dw',
  ],
  'password+refresh': [
    'grant_type=password&username=%C3%BC+ser&password=p%26ss%3Dw',
    `grant_type=refresh_token&refresh_token=refresh-1${SCOPED}`,
  ],
  'direct+refresh': [
    `grant_type=refresh_token&refresh_token=refresh-0${SCOPED}`,
    `grant_type=refresh_token&refresh_token=refresh-1${SCOPED}`,
  ],
}
const BEARERS = {
  AUTH_HEADER_BEARER: { authorization: BASIC, posted: '' },
  POST_BODY_BEARER: { authorization: undefined, posted: POSTED },
  NO_BEARER: { authorization: undefined, posted: '' },
} as const

describe('the own token, every grant by every credentialBearer', () => {
  let pair: OwnTokenPair
  afterEach(() => pair.close())

  for (const grant of ['clientCredential', 'password', 'password+refresh', 'direct+refresh'] as const) {
    for (const bearer of ['AUTH_HEADER_BEARER', 'POST_BODY_BEARER', 'NO_BEARER'] as const) {
      it(`C40 C46 C50 C51 C57 ${grant} with ${bearer}: first token, renewal before expiry, renewal after a 401`, async () => {
        const clock = createFakeClock({ wallMs: Date.now() })
        pair = await startOwnTokenPair({ grant, bearer, clock, rotate: grant.includes('refresh') })
        const { authority } = pair
        expect((await pair.ask('Bearer good-1')).reason).to.equal('allowed')
        // Nothing before three quarters of its life, the renewal at 80 % at the latest (P21).
        clock.advance(3_600_000 * 0.74)
        await pair.ask('Bearer good-2')
        expect(authority.tokenRequests).to.have.length(1)
        clock.advance(3_600_000 * 0.06)
        while (authority.tokenRequests.length < 2) await new Promise(setImmediate)
        expect((await pair.ask('Bearer good-3')).reason).to.equal('allowed')
        authority.live.clear()
        expect((await pair.ask('Bearer good-4')).reason).to.equal('allowed')

        const [first, renewal] = GRANTS[grant]
        const { authorization, posted } = BEARERS[bearer]
        const afterRefusal = renewal.replace('refresh-1', 'refresh-2')
        expect(authority.tokenRequests.map(({ body }) => body)).to.deep.equal(
          [first, renewal, afterRefusal].map((body) => body + posted),
        )
        for (const request of authority.tokenRequests) {
          expect(request.method).to.equal('POST')
          expect(request.path).to.equal('/token')
          expect(request.headers['authorization']).to.equal(authorization)
          expect(request.headers['content-type']).to.equal('application/x-www-form-urlencoded')
          expect(request.headers['accept']).to.equal('application/json')
        }
        const sent = authority.introspections.map(({ headers }) => headers['authorization'])
        expect(sent).to.deep.equal(['Bearer own-1', 'Bearer own-1', 'Bearer own-2', 'Bearer own-2', 'Bearer own-3'])
        expect(authority.mostTokenRequests).to.equal(1)
      })
    }
  }

  it('sends a direct token as it is, and asks nobody', async () => {
    pair = await startOwnTokenPair({ grant: 'direct', prepare: (authority) => authority.live.add('own-0') })
    expect((await pair.ask('Bearer good-1')).reason).to.equal('allowed')
    expect(pair.authority.introspections[0]?.headers['authorization']).to.equal('Bearer own-0')
    expect(pair.authority.tokenRequests).to.have.length(0)
  })

  it('uses the second of two secrets after invalid_client, within the same attempt', async () => {
    const used: string[] = []
    pair = await startOwnTokenPair({
      edit: (toml) => toml.replace(/clientSecret = ".*"/, 'clientSecret = ["new", "old"]'),
      prepare: (authority) => {
        authority.onToken = (request) => {
          const basic = request.headers['authorization']?.slice('Basic '.length) ?? ''
          const secret = Buffer.from(basic, 'base64').toString().split(':')[1] ?? ''
          used.push(secret)
          return secret === 'old' ? undefined : { status: 401, body: { error: 'invalid_client' } }
        }
      },
    })
    expect((await pair.ask('Bearer good-1')).reason).to.equal('allowed')
    expect(used).to.deep.equal(['new', 'old'])
    pair.authority.live.clear()
    expect((await pair.ask('Bearer good-2')).reason).to.equal('allowed')
    expect(used).to.deep.equal(['new', 'old', 'old'])
  })

  it('keeps the own token through a reload of the same grant, and obtains another for another client', async () => {
    pair = await startOwnTokenPair()
    const { app, rewrite } = pair.running
    await pair.ask('Bearer good-1')
    const text = oauth2Config(pair.authority, 'clientCredential')
    rewrite(`${text}\n[log]\nlevel = "debug"\n`)
    await app.reload()
    expect((await pair.ask('Bearer good-2')).reason).to.equal('allowed')
    expect(pair.authority.tokenRequests).to.have.length(1)
    rewrite(text.replace('gate/way 1', 'another'))
    await app.reload()
    expect((await pair.ask('Bearer good-3')).reason).to.equal('allowed')
    expect(pair.authority.tokenRequests).to.have.length(2)
  })

  for (const [what, answer, seconds] of [
    ['down (503)', { status: 503, body: '' }, 1],
    ['HTML', { headers: { 'content-type': 'text/html' }, body: '<html>login</html>' }, 1],
    ['a redirect', { status: 302, headers: { location: 'https://elsewhere.example.com/' }, body: '' }, 1],
    ['429 with Retry-After', { status: 429, headers: { 'retry-after': '7' }, body: '' }, 7],
    ['invalid_client', { status: 401, body: { error: 'invalid_client' } }, 30],
  ] as const) {
    it(`P21 a token endpoint that is ${what} is asked again after ${seconds} s, not before; remembered tokens pass`, async () => {
      const clock = createFakeClock({ wallMs: Date.now() })
      pair = await startOwnTokenPair({ clock })
      const { authority } = pair
      expect((await pair.ask('Bearer good-1')).reason).to.equal('allowed')
      authority.onToken = () => answer
      authority.live.clear()
      expect((await pair.ask('Bearer good-2')).reason).to.equal('key_manager_unavailable')
      const refused = await pair.ask('Bearer good-2')
      // Product 2.1: 1, or the seconds left while a 429 is honoured.
      const told = what.startsWith('429') ? [seconds, seconds * 1.2 + 1] : [1, 1]
      expect(Number(refused.headers['retry-after'])).to.be.within(told[0] ?? 0, told[1] ?? 0)
      expect((await pair.ask('Bearer good-1')).cache).to.equal('hit')
      expect(authority.tokenRequests).to.have.length(2)
      clock.advance(seconds * 1_000 - 1)
      await pair.ask('Bearer good-2')
      expect(authority.tokenRequests).to.have.length(2)
      authority.onToken = undefined
      clock.advance(seconds * 200 + 2)
      while (authority.tokenRequests.length < 3) await new Promise(setImmediate)
      expect((await pair.ask('Bearer good-2')).reason).to.equal('allowed')
      expect(pair.running.logs.join('')).to.include('own_token_failed')
    })
  }
})
