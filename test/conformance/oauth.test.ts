/** spec/oauth.md over the real app: caching (RFC 7662 section 4) and bearer use (RFC 6750). */
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { basicConfig, startTestApp, type TestApp } from '../support/app.ts'
import { type CheckResponseObject, connectChecks, httpCheck } from '../support/check-client.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'

const POLICY = `
[policy]
noMatch = "allow"
[[policy.rules]]
name = "write"
methods = ["POST"]
requiredScopes = ["orders:write", "x"]
`

describe('OAuth, statement by statement', () => {
  let keyManager: ScriptedKeyManager
  let running: TestApp
  let client: ReturnType<typeof connectChecks>

  beforeEach(async () => {
    keyManager = await startKeyManager()
    running = await startTestApp(basicConfig(keyManager.url, POLICY), { flags: { 'keyManager.startupProbe': 'false' } })
    client = connectChecks(running.app.addresses.extAuthz[0] ?? '')
    keyManager.tokens.set('good', { active: true, sub: 'alice', scope: 'a', exp: Math.floor(Date.now() / 1000) + 300 })
  })

  afterEach(async () => {
    client.close()
    await running.close()
    await keyManager.close()
  })

  const ask = (authorization: string | undefined, method = 'GET', path = '/') =>
    client.check(
      httpCheck({
        method,
        path,
        host: 'api.example.com',
        headers: authorization === undefined ? {} : { authorization },
      }),
    )

  const challengesOf = (reply: CheckResponseObject): string[] =>
    (reply.denied_response?.headers ?? [])
      .filter(({ header }) => header?.key?.toLowerCase() === 'www-authenticate')
      .map(({ header }) => header?.value || (header?.raw_value?.toString() ?? ''))

  it('C34 evaluates policy again on every hit', async () => {
    expect((await ask('Bearer good')).status?.code ?? 0).to.equal(0)
    expect((await ask('Bearer good', 'POST')).status?.code).to.equal(7)
    expect(keyManager.requests).to.have.length(1)
  })

  it('C35 a hit equals a miss but for decision_id, cache and max_age_seconds', async () => {
    const stable = (reply: CheckResponseObject) => {
      const fields = Object.entries(reply.dynamic_metadata?.fields ?? {})
      const kept = fields.filter(([name]) => !['decision_id', 'cache', 'max_age_seconds'].includes(name))
      const headers = (reply.ok_response?.headers ?? []).filter(({ header }) => header?.key !== 'x-authz-decision-id')
      return { ...reply, ok_response: { ...reply.ok_response, headers }, dynamic_metadata: kept }
    }
    const miss = await ask('Bearer good')
    expect(stable(await ask('Bearer good'))).to.deep.equal(stable(miss))
  })

  it('C37 a refresh token and a malformed answer are never an allow, the first time or the second', async () => {
    keyManager.tokens.set('refresh', { active: true, token_use: 'refresh_token' })
    keyManager.tokens.set('odd', { active: 'true' })
    for (const [token, code] of [
      ['refresh', 16],
      ['odd', 14],
    ] as const) {
      expect((await ask(`Bearer ${token}`)).status?.code, token).to.equal(code)
      expect((await ask(`Bearer ${token}`)).status?.code, token).to.equal(code)
    }
  })

  it('C71 what is not a b64token is invalid_request, and the key manager is not asked', async () => {
    for (const value of ['Bearer a=b', 'Bearer a b', 'Bearer a,b', 'Bearer', 'Bearer a,Bearer b']) {
      const reply = await ask(value)
      expect(reply.status?.code, value).to.equal(3)
      expect(challengesOf(reply)[0], value).to.contain('error="invalid_request"')
    }
    expect(keyManager.requests).to.have.length(0)
  })

  it('C73 nothing, and another scheme, get a challenge without any error attribute', async () => {
    for (const value of [undefined, 'Basic YTpi', 'BearerX good']) {
      const reply = await ask(value)
      expect(reply.status?.code).to.equal(16)
      expect(challengesOf(reply)).to.have.length(1)
      expect(challengesOf(reply)[0])
        .to.match(/^Bearer realm="[^"]+"/)
        .and.not.match(/error/)
    }
  })

  it('C74 C75 a token refused is invalid_token; scopes short are insufficient_scope and are named', async () => {
    expect(challengesOf(await ask('Bearer bad'))[0]).to.contain('error="invalid_token"')
    const short = challengesOf(await ask('Bearer good', 'POST'))[0]
    expect(short).to.contain('error="insufficient_scope"').and.contain('scope="orders:write x"')
  })

  it('C76 C77 each attribute is sent once, in the characters allowed, and nothing of the request comes back', async () => {
    const replies = [
      await ask('Bearer unheard-of', 'GET', '/echo-me'),
      await ask('Bearer good', 'POST', '/echo-me'),
      await ask('Bearer ec"ho', 'GET', '/echo-me'),
      await ask(undefined, 'GET', '/echo-me'),
    ]
    for (const reply of replies) {
      const challenge = challengesOf(reply)[0] ?? ''
      const names = [...challenge.matchAll(/([a-z_]+)="/g)].map(([, name]) => name)
      expect(names.length).to.be.at.least(1)
      expect(new Set(names).size, challenge).to.equal(names.length)
      for (const [, value] of challenge.matchAll(/="([^"]*)"/g))
        expect(value).to.match(/^[\x20\x21\x23-\x5b\x5d-\x7e]*$/)
      expect(JSON.stringify(reply.denied_response)).to.not.match(/echo-me|unheard-of|ec\\?"ho/)
    }
  })

  it('C78 a key manager that fails is 503 without a challenge', async () => {
    keyManager.answer({ status: 500, headers: {}, body: '' })
    const reply = await ask('Bearer good')
    expect(reply.status?.code).to.equal(14)
    expect(challengesOf(reply)).to.deep.equal([])
  })

  it('C79 a token in the query is no token', async () => {
    expect((await ask(undefined, 'GET', '/?access_token=good')).status?.code).to.equal(16)
    expect(keyManager.requests).to.have.length(0)
  })
})
