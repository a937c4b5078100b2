/** The real flow against a real authorization server: oidc-provider issues, introspects and revokes opaque tokens. */
import { EventEmitter, once } from 'node:events'

import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { type AuthorizationServer, startAuthorizationServer } from '../../demo/authorization-server.ts'
import { startApp } from '../../src/app.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type CheckClient, type CheckResponseObject, connectChecks, httpCheck } from '../support/check-client.ts'
import { createFakeClock, type FakeClock } from '../support/clock.ts'

/** Form-decoding turns it into another secret: `%2B` to `+`, `+` to a space. */
const SPECIAL_SECRET = 'se%2Bcret+with:colon'
const LIFE_MS = 10_000

interface Running {
  readonly server: AuthorizationServer
  readonly app: TestApp
  readonly checks: CheckClient
  readonly clock: FakeClock
  /** What the sidecar says to this token; `METHOD /orders/7`. */
  ask(token: string, method?: 'GET' | 'POST'): Promise<CheckResponseObject>
}

const conf = (introspectUrl: string, secret: string, basic = ''): string => `
[keyManager]
external = true
introspectUrl = "${introspectUrl}"
startupProbe = false
[keymanager.security.basic]
username = "gateway"
password = "${secret}"
${basic}
[caching]
tokenCacheExpiryTime = "${LIFE_MS}ms"
[policy]
requiredClaims = ["token_type"]
[[policy.rules]]
name = "orders-write"
methods = ["POST"]
paths = ["/orders/*"]
requiredScopes = ["orders:write"]
`

function metadata(reply: CheckResponseObject, name: string): string | undefined {
  return reply.dynamic_metadata?.fields?.[name]?.stringValue
}

const reasonOf = (reply: CheckResponseObject): string | undefined => metadata(reply, 'reason')

describe('against a real authorization server (oidc-provider)', () => {
  const cleanUps: (() => Promise<void>)[] = []

  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
  })

  async function start(secret = 'gateway-secret', basic = ''): Promise<Running> {
    const server = await startAuthorizationServer({ id: 'gateway', secret })
    cleanUps.push(() => server.close())
    const clock = createFakeClock({ wallMs: Date.now() })
    const app = await startTestApp(conf(server.introspectUrl, secret, basic), { clock })
    cleanUps.push(() => app.close())
    const checks = connectChecks(app.app.addresses.extAuthz[0] ?? '')
    cleanUps.push(async () => checks.close())
    const ask = (token: string, method = 'GET') =>
      checks.check(httpCheck({ method, path: '/orders/7', headers: { authorization: `Bearer ${token}` } }))
    return { server, app, checks, clock, ask }
  }

  it('allows a good token, then serves it from memory', async () => {
    const { server, ask } = await start()
    const token = await server.accessToken('orders:read orders:write')
    const first = await ask(token, 'POST')
    const second = await ask(token, 'POST')
    expect([reasonOf(first), metadata(first, 'cache')]).to.deep.equal(['allowed', 'miss'])
    expect([reasonOf(second), metadata(second, 'cache')]).to.deep.equal(['allowed', 'hit'])
    expect(metadata(first, 'client_id')).to.equal('shop')
  })

  it('denies garbage with 401 invalid_token', async () => {
    const { ask } = await start()
    const reply = await ask('a-token-of-nobody')
    expect(reasonOf(reply)).to.equal('inactive_token')
    expect(reply.status?.code).to.equal(16)
  })

  it('denies a refresh token: this server calls it active, without token_type', async () => {
    const { server, ask } = await start()
    const reply = await ask(await server.refreshToken())
    expect(reasonOf(reply)).to.equal('missing_claim')
  })

  it('denies with insufficient_scope and names the scope asked for; the same token passes elsewhere', async () => {
    const { server, ask } = await start()
    const reader = await server.accessToken('orders:read')
    const denied = await ask(reader, 'POST')
    expect(reasonOf(denied)).to.equal('insufficient_scope')
    expect(JSON.stringify(denied.denied_response?.headers)).to.contain('orders:write')
    expect(reasonOf(await ask(reader, 'GET'))).to.equal('allowed')
  })

  it('serves a revoked token no longer than it was remembered', async () => {
    const { server, ask, clock } = await start()
    const token = await server.accessToken('orders:read')
    await ask(token)
    await server.revoke(token)
    clock.advance(LIFE_MS - 1)
    expect(metadata(await ask(token), 'cache')).to.equal('hit')
    clock.advance(1)
    expect(reasonOf(await ask(token))).to.equal('inactive_token')
  })

  it('passes what is remembered while the server is stopped, refuses the rest with Retry-After, and recovers', async () => {
    const { server, ask } = await start()
    const known = await server.accessToken('orders:read')
    const unknown = await server.accessToken('orders:read')
    await ask(known)
    await server.pause()
    expect(reasonOf(await ask(known))).to.equal('allowed')
    const refused = await ask(unknown)
    expect(reasonOf(refused)).to.equal('key_manager_unavailable')
    expect(JSON.stringify(refused.denied_response?.headers)).to.contain('retry-after')
    await server.resume()
    expect(reasonOf(await ask(unknown))).to.equal('allowed')
  })

  it('is refused with raw Basic credentials where the secret holds % and +, and is let in with encoding = "form"', async () => {
    const raw = await start(SPECIAL_SECRET)
    expect(reasonOf(await raw.ask(await raw.server.accessToken('orders:read')))).to.equal('key_manager_unavailable')
    const form = await start(SPECIAL_SECRET, 'encoding = "form"')
    expect(reasonOf(await form.ask(await form.server.accessToken('orders:read')))).to.equal('allowed')
  })

  it('names the encoding switch at start, where the server refuses raw credentials', async () => {
    const { server, app } = await start(SPECIAL_SECRET)
    app.rewrite(conf(server.introspectUrl, SPECIAL_SECRET).replace('startupProbe = false', ''))
    const lines = new EventEmitter()
    const probe = once(lines, 'probe')
    const probed = await startApp({
      configFile: app.configFile,
      env: {},
      flags: { 'extAuthz.listen': '127.0.0.1:0', 'admin.listen': '127.0.0.1:0', 'admin.localListen': '127.0.0.1:0' },
      writeLog: (line) => {
        if (line.includes('key_manager_probe')) lines.emit('probe', line)
      },
    })
    cleanUps.push(() => probed.stop())
    const [line] = await probe
    expect(String(line)).to.contain('encoding').and.contain('form')
    expect(String(line)).to.not.contain(SPECIAL_SECRET)
  })
})
