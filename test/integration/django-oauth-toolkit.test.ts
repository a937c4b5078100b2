/** A real server whose introspection endpoint takes a bearer token: the way of the own token, from end to end. */
import { expect } from 'chai'
import { after, afterEach, before, beforeEach, describe, it } from 'mocha'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type CheckClient, connectChecks, httpCheck } from '../support/check-client.ts'
import { createFakeClock, type FakeClock } from '../support/clock.ts'
import { type Django, type DjangoRequest, djangoOrSkip, post, startDjango } from '../support/django.ts'

describe('django-oauth-toolkit as it is', function () {
  this.timeout(180_000)
  let django: Django

  before(async function () {
    django = await startDjango(djangoOrSkip(this))
  })

  after(() => django?.close())

  async function own(form: Readonly<Record<string, string>>, client = django.clientCredentials) {
    const answer = await django.requestToken(client, { scope: 'introspection', ...form })
    expect(answer.status).to.equal(200)
    return Object(await answer.json())
  }

  const byPassword = () =>
    own(
      { grant_type: 'password', username: django.password.username, password: django.password.password },
      django.password,
    )

  const introspect = (token: string, bearer: string) =>
    post(django.introspectUrl, { token }, { authorization: `Bearer ${bearer}` })

  it('gives an own token by client credentials, and introspects for who bears it', async () => {
    const answer = await own({ grant_type: 'client_credentials' })
    expect(answer).to.include({ token_type: 'Bearer', scope: 'introspection', expires_in: 60 })
    expect(answer).to.not.have.property('refresh_token')
    const introspected = await introspect(await django.userToken(), answer.access_token)
    expect(introspected.status).to.equal(200)
    const claims = Object(await introspected.json())
    expect(claims).to.include({ active: true, scope: 'orders:read', client_id: 'shop', username: 'alice' })
    expect(claims).to.not.have.any.keys('sub', 'iss', 'token_type')
  })

  it('answers a dead own token with 403: no body, no challenge', async () => {
    const { access_token: bearer } = await own({ grant_type: 'client_credentials' })
    await django.expire(django.clientCredentials)
    const answer = await introspect(await django.userToken(), bearer)
    expect(answer.status).to.equal(403)
    expect(answer.headers.get('content-type')).to.match(/^text\/html/)
    expect(answer.headers.get('www-authenticate')).to.equal(null)
    expect(await answer.text()).to.equal('')
  })

  it('answers a token without the scope introspection in the same way', async () => {
    const token = await django.userToken()
    expect((await introspect(token, token)).status).to.equal(403)
  })

  it('kills the old access token the moment it is refreshed, and rotates the refresh token', async () => {
    const first = await byPassword()
    const token = await django.userToken()
    expect((await introspect(token, first.access_token)).status).to.equal(200)
    const second = await own({ grant_type: 'refresh_token', refresh_token: first.refresh_token }, django.password)
    expect(second.refresh_token).to.not.equal(first.refresh_token)
    expect((await introspect(token, first.access_token)).status).to.equal(403)
    expect((await introspect(token, second.access_token)).status).to.equal(200)
  })

  it('takes a refresh token once: the second use ends the whole family', async () => {
    const first = await byPassword()
    const refresh = (refresh_token: string) =>
      django.requestToken(django.password, { grant_type: 'refresh_token', refresh_token })
    const second = Object(await (await refresh(first.refresh_token)).json())
    const again = await refresh(first.refresh_token)
    expect([again.status, await again.json()]).to.deep.equal([400, { error: 'invalid_grant' }])
    expect((await refresh(second.refresh_token)).status).to.equal(400)
  })

  it('refreshes although the access token is expired', async () => {
    const first = await byPassword()
    await django.expire(django.password)
    const form = { grant_type: 'refresh_token', refresh_token: first.refresh_token }
    expect(await own(form, django.password)).to.have.property('access_token')
  })

  it('redirects a path without its trailing slash', async () => {
    const answer = await post(django.introspectUrl.slice(0, -1), { token: 'x' })
    expect(answer.status).to.equal(301)
  })

  it('counts what it was asked, by grant and by status', async () => {
    const fresh = await django.counts()
    await own({ grant_type: 'client_credentials' })
    await introspect('a-token-of-nobody', 'nobody')
    const counts = await django.counts()
    const more = (name: string): number => (counts[name] ?? 0) - (fresh[name] ?? 0)
    expect(more('token.client_credentials')).to.equal(1)
    expect(more('introspect.403')).to.equal(1)
    expect(more('token.password')).to.equal(0)
  })
})

/** Renewed at 80 % at the latest: one step of the clock past that, and short of the end. */
const OWN_LIFE_SECONDS = 60
const PAST_RENEWAL_MS = 0.82 * OWN_LIFE_SECONDS * 1000

// Every Check is a call, so that no answer stands in for one that failed.
const conf = (django: Django, oauth2: string): string => `
[keyManager]
introspectUrl = "${django.introspectUrl}"
startupProbe = false
[keymanager.security.oauth2]
enabled = true
tokenUrl = "${django.tokenUrl}"
${oauth2}
[caching]
enabled = false
`

const clientCredential = ({ clientCredentials: { id, secret } }: Django, scopes = 'introspection'): string => `
[keymanager.security.oauth2.clientCredential]
enabled = true
clientId = "${id}"
clientSecret = "${secret}"
scopes = "${scopes}"
`

const passwordAndRefresh = ({ password: { id, secret, username, password } }: Django): string => `
[keymanager.security.oauth2.password]
enabled = true
clientId = "${id}"
clientSecret = "${secret}"
scopes = "introspection"
username = "${username}"
password = "${password}"
[keymanager.security.oauth2.refresh]
enabled = true
`

describe('the sidecar in front of a real django-oauth-toolkit', function () {
  this.timeout(180_000)
  let python: string
  let django: Django
  let clock: FakeClock
  let app: TestApp | undefined
  let checks: CheckClient | undefined

  before(function () {
    python = djangoOrSkip(this)
  })

  beforeEach(async () => {
    // A server of its own each time: what it was asked is counted from zero.
    django = await startDjango(python, { ownLifeSeconds: OWN_LIFE_SECONDS, userLifeSeconds: 3600 })
    clock = createFakeClock({ wallMs: Date.now() })
  })

  afterEach(async () => {
    checks?.close()
    await app?.close()
    await django?.close()
    app = undefined
    checks = undefined
  })

  async function start(oauth2: string): Promise<void> {
    app = await startTestApp(conf(django, oauth2), { clock })
    checks = connectChecks(app.app.addresses.extAuthz[0] ?? '')
  }

  /** The reason of the decision about this token. */
  async function ask(token: string): Promise<string | undefined> {
    const reply = await checks?.check(httpCheck({ headers: { authorization: `Bearer ${token}` } }))
    return reply?.dynamic_metadata?.fields?.['reason']?.stringValue
  }

  const askAll = (tokens: readonly string[]) => Promise.all(tokens.map(ask))
  const userTokens = (count: number) => Promise.all(Array.from({ length: count }, () => django.userToken()))
  const allAllowed = (tokens: readonly string[]) => tokens.map(() => 'allowed')

  /** Asks the server again and again; the test's timeout bounds it. */
  async function until(holds: () => Promise<boolean>): Promise<void> {
    while (!(await holds()));
  }

  async function tokenRequests(grant: string): Promise<readonly DjangoRequest[]> {
    return (await django.requests()).filter((request) => request.grant === grant)
  }

  it('obtains one own token by client credentials, and decides by it', async () => {
    const tokens = await userTokens(8)
    await start(clientCredential(django))
    expect(await askAll(tokens)).to.deep.equal(allAllowed(tokens))
    expect(await ask('a-token-of-nobody')).to.equal('inactive_token')
    expect(await django.counts()).to.deep.equal({ 'token.client_credentials': 1, 'introspect.200': 9 })
    expect((await django.requests()).map(({ authentication }) => authentication)).to.include.members([
      'basic',
      'bearer',
    ])
  })

  it('P22 obtains another where the server has killed the own token, once however many calls met it; none fails', async () => {
    const tokens = await userTokens(8)
    await start(clientCredential(django))
    expect(await askAll(tokens)).to.deep.equal(allAllowed(tokens))
    await django.expire(django.clientCredentials)
    expect(await askAll(tokens)).to.deep.equal(allAllowed(tokens))
    expect(await tokenRequests('client_credentials')).to.have.length(2)
    expect((await django.counts())['introspect.403']).to.be.within(1, tokens.length)
  })

  it('P21 C56 renews by refresh with rotation while Checks are under way: none fails, and no refresh token is used twice', async () => {
    const tokens = await userTokens(8)
    await start(passwordAndRefresh(django))
    expect(await askAll(tokens)).to.deep.equal(allAllowed(tokens))
    const rounds = 5
    for (let round = 1; round <= rounds; round++) {
      const answers = [askAll(tokens)]
      clock.advance(PAST_RENEWAL_MS)
      // Calls before, during and after the renewal.
      while ((await tokenRequests('refresh_token')).length < round) {
        answers.push(askAll(tokens))
        await answers.at(-1)
      }
      answers.push(askAll(tokens))
      for (const answer of await Promise.all(answers)) expect(answer).to.deep.equal(allAllowed(tokens))
    }
    const refreshes = await tokenRequests('refresh_token')
    expect(refreshes.map(({ status }) => status)).to.deep.equal(Array(rounds).fill(200))
    expect(new Set(refreshes.map(({ refreshToken }) => refreshToken)).size).to.equal(rounds)
    expect(await tokenRequests('password')).to.have.length(1)
  })

  it('P22 lets Checks wait that are refused between the death of the old token and the answer with the new one', async () => {
    const tokens = await userTokens(8)
    await start(passwordAndRefresh(django))
    expect(await askAll(tokens)).to.deep.equal(allAllowed(tokens))
    const release = await django.holdTokenAnswers()
    clock.advance(PAST_RENEWAL_MS)
    await until(async () => (await tokenRequests('refresh_token')).length === 1)
    const answers = askAll(tokens)
    await until(async () => (await django.counts())['introspect.403'] === tokens.length)
    await release()
    expect(await answers).to.deep.equal(allAllowed(tokens))
    expect(await django.counts()).to.deep.equal({
      'token.password': 1,
      'token.refresh_token': 1,
      'introspect.200': 2 * tokens.length,
      'introspect.403': tokens.length,
    })
  })

  it('P23 C59 falls back to the password grant where the refresh token is dead, and refreshes again after that', async () => {
    const [token = ''] = await userTokens(1)
    await start(passwordAndRefresh(django))
    expect(await ask(token)).to.equal('allowed')
    await django.revokeRefreshTokens(django.password)
    await django.expire(django.password)
    expect(await ask(token)).to.equal('allowed')
    await django.expire(django.password)
    clock.advance(PAST_RENEWAL_MS)
    expect(await ask(token)).to.equal('allowed')
    expect((await tokenRequests('refresh_token')).map(({ status }) => status)).to.deep.equal([400, 200])
    expect(await tokenRequests('password')).to.have.length(2)
  })

  it('P22 asks for one new token, not for one each call, where the own token lacks the scope to introspect', async () => {
    const tokens = await userTokens(8)
    await start(clientCredential(django, 'orders:read'))
    expect(await askAll(tokens)).to.deep.equal(tokens.map(() => 'key_manager_unavailable'))
    expect(await askAll(tokens)).to.deep.equal(tokens.map(() => 'key_manager_unavailable'))
    expect(await tokenRequests('client_credentials')).to.have.length(2)
  })
})
