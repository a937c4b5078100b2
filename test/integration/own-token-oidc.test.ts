/**
 * The own token against a real authorization server that rotates refresh tokens and revokes the whole family at the
 * second use of one. What happened is read from what that server saw.
 */
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { after, afterEach, describe, it } from 'mocha'
import type { ClientMetadata } from 'oidc-provider'
import { startTestApp } from '../support/app.ts'
import { connectChecks, httpCheck } from '../support/check-client.ts'
import { createFakeClock, type FakeClock } from '../support/clock.ts'
import { type OidcServer, oidcClient, startOidcServer } from '../support/own-token-oidc.ts'
import { type Seen, seenIn } from '../support/pair.ts'

const SECRET = 'se%2Bcret+with:colon'
const OWN_LIFE_SEC = 10
/** Renewed at 80 % of its life at the latest. */
const PAST_RENEWAL_MS = 0.81 * OWN_LIFE_SEC * 1_000

interface Sidecar {
  readonly clock: FakeClock
  ask(token: string): Promise<Seen>
  /** The exposition's value of this series. */
  metric(series: string): Promise<number>
  readonly logs: readonly string[]
  close(): Promise<void>
}

interface Method {
  readonly name: string
  readonly client: Partial<ClientMetadata>
  /** Of `[keymanager.security.oauth2]`. */
  readonly bearer: string
}

describe('own token at a real authorization server (oidc-provider)', () => {
  const cleanUps: (() => Promise<void>)[] = []
  const dir = mkdtempSync(join(tmpdir(), 'own-token-'))

  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
  })

  after(() => rmSync(dir, { recursive: true, force: true }))

  async function serve(client: Partial<ClientMetadata> = { client_secret: SECRET }): Promise<OidcServer> {
    const server = await startOidcServer({ clients: [oidcClient('gateway', client)], ownLifeSec: OWN_LIFE_SEC })
    cleanUps.push(() => server.close())
    return server
  }

  /** Nothing is remembered: every Check needs the own token. */
  async function open(server: OidcServer, oauth2: string): Promise<Sidecar> {
    const clock = createFakeClock({ wallMs: Date.now() })
    const toml = `
[keyManager]
introspectUrl = "${server.bearerUrl}"
startupProbe = false
[caching]
enabled = false
[keymanager.security.oauth2]
enabled = true
tokenUrl = "${server.tokenUrl}"
${oauth2}
`
    const { app, logs, close } = await startTestApp(toml, { clock })
    const checks = connectChecks(app.addresses.extAuthz[0] ?? '')
    let closed = false
    const sidecar: Sidecar = {
      clock,
      logs,
      ask: async (token) => seenIn(await checks.check(httpCheck({ headers: { authorization: `Bearer ${token}` } }))),
      async metric(series) {
        const text = await (await fetch(`http://${app.addresses.admin}/metrics`)).text()
        const line = text.split('\n').find((candidate) => candidate.startsWith(`${series} `))
        return line === undefined ? Number.NaN : Number(line.slice(series.length))
      },
      async close() {
        if (closed) return
        closed = true
        checks.close()
        await close()
      },
    }
    cleanUps.push(() => sidecar.close())
    return sidecar
  }

  const renewals = (sidecar: Sidecar, grant = 'refresh_token', outcome = 'success') =>
    sidecar.metric(`microgw_own_token_renewals_total{grant="${grant}",outcome="${outcome}"}`)

  /** Asks again and again; the test's timeout bounds it. */
  async function until(holds: () => Promise<boolean>): Promise<void> {
    while (!(await holds()));
  }

  const CLIENT = `clientId = "gateway"\nclientSecret = "${SECRET}"\n`

  const clientCredential = (keys = CLIENT): string => `
[keymanager.security.oauth2.clientCredential]
enabled = true
scopes = "introspection"
${keys}`

  const refresh = (
    server: OidcServer,
    pair: { readonly accessToken: string; readonly refreshToken: string },
    keys = CLIENT,
  ): string => `
[keymanager.security.oauth2.directToken]
enabled = true
accessToken = "${pair.accessToken}"
[keymanager.security.oauth2.refresh]
enabled = true
refreshUrl = "${server.tokenUrl}"
refreshToken = "${pair.refreshToken}"
${keys}`

  const key = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const keyFile = join(dir, 'key.pem')
  writeFileSync(keyFile, key.privateKey.export({ format: 'pem', type: 'pkcs8' }))

  const METHODS: readonly Method[] = [
    {
      name: 'client_secret_basic',
      client: { token_endpoint_auth_method: 'client_secret_basic', client_secret: SECRET },
      bearer: 'credentialBearer = "AUTH_HEADER_BEARER"',
    },
    {
      name: 'client_secret_post',
      client: { token_endpoint_auth_method: 'client_secret_post', client_secret: SECRET },
      bearer: 'credentialBearer = "POST_BODY_BEARER"',
    },
    {
      name: 'private_key_jwt',
      client: {
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [{ ...key.publicKey.export({ format: 'jwk' }), kid: 'first', use: 'sig' }] },
      },
      bearer: `clientAuthMethod = "private_key_jwt"\nassertionKeyFile = "${keyFile}"\nassertionKeyId = "first"`,
    },
  ]

  for (const { name, client, bearer } of METHODS) {
    const keys = name === 'private_key_jwt' ? 'clientId = "gateway"\n' : CLIENT

    it(`obtains one by client credentials with ${name}, decides by it, and asks for the next in time`, async () => {
      const server = await serve(client)
      const sidecar = await open(server, bearer + clientCredential(keys))
      const good = await server.userToken()
      expect(await sidecar.ask(good)).to.include({ reason: 'allowed' })
      expect(await sidecar.ask('a-token-of-nobody')).to.include({ reason: 'inactive_token', status: 'Unauthorized' })
      const asked = { grant: 'client_credentials', refreshToken: undefined, outcome: 'granted', method: name }
      expect(server.tokenRequests).to.deep.equal([asked])
      sidecar.clock.advance(PAST_RENEWAL_MS)
      await until(async () => (await renewals(sidecar, 'client_credentials')) === 2)
      expect(await sidecar.ask(good)).to.include({ reason: 'allowed' })
      expect(server.tokenRequests).to.deep.equal([asked, asked])
      expect(server.front).to.deep.equal({ allowed: 3, refused: 0 })
    })

    it(`refreshes a direct token with ${name}: each refresh token once, the rotated one next`, async () => {
      const server = await serve(client)
      const pair = await server.pairFor('gateway')
      const sidecar = await open(server, bearer + refresh(server, pair, keys))
      const good = await server.userToken()
      expect(await sidecar.ask(good)).to.include({ reason: 'allowed' })
      expect(server.tokenRequests).to.deep.equal([])
      // A direct token says nothing of its life: 300 s are assumed.
      sidecar.clock.advance(0.81 * 300_000)
      for (let renewal = 1; renewal <= 3; renewal += 1) {
        await until(async () => (await renewals(sidecar)) === renewal)
        expect(await sidecar.ask(good)).to.include({ reason: 'allowed' })
        sidecar.clock.advance(PAST_RENEWAL_MS)
      }
      await until(async () => (await renewals(sidecar)) === 4)
      expect(server.tokenRequests.map(({ outcome, method }) => [outcome, method])).to.deep.equal(
        Array.from({ length: 4 }, () => ['granted', name]),
      )
      const used = server.tokenRequests.map(({ refreshToken }) => refreshToken)
      expect(used[0]).to.equal(pair.refreshToken)
      expect(new Set(used).size).to.equal(4)
      expect(server.revokedGrants).to.deep.equal([])
    })
  }

  it('is without an own token where the secret is wrong, and says which client authentication failed', async () => {
    const server = await serve()
    const sidecar = await open(server, clientCredential('clientId = "gateway"\nclientSecret = "another"\n'))
    expect(await sidecar.ask(await server.userToken())).to.include({
      reason: 'key_manager_unavailable',
      status: 'ServiceUnavailable',
    })
    expect(await renewals(sidecar, 'client_credentials', 'rejected')).to.equal(1)
    expect(server.front).to.deep.equal({ allowed: 0, refused: 0 })
    expect(sidecar.logs.join('')).to.contain('invalid_client')
    expect(sidecar.logs.join('')).to.not.contain('another')
  })

  it('renews once where the server has killed the own token, however many Checks met it; none fails', async () => {
    const server = await serve()
    const pair = await server.pairFor('gateway')
    const sidecar = await open(server, refresh(server, pair))
    const tokens = await Promise.all(Array.from({ length: 8 }, () => server.userToken()))
    await server.kill(pair.accessToken)
    for (const seen of await Promise.all(tokens.map(sidecar.ask))) expect(seen).to.include({ reason: 'allowed' })
    expect(server.tokenRequests).to.have.length(1)
    expect(server.front.refused).to.be.within(1, tokens.length)
    expect(server.revokedGrants).to.deep.equal([])
  })

  it('begins with the rotated refresh token after a restart, where refresh.stateFile keeps it', async () => {
    const server = await serve()
    const pair = await server.pairFor('gateway')
    const stateFile = join(dir, 'refresh-token')
    const oauth2 = refresh(server, pair, `${CLIENT}stateFile = "${stateFile}"\n`)
    const good = await server.userToken()
    const first = await open(server, oauth2)
    expect(await first.ask(good)).to.include({ reason: 'allowed' })
    first.clock.advance(0.81 * 300_000)
    await until(async () => (await renewals(first)) === 1)
    await first.close()
    const second = await open(server, oauth2)
    expect(await second.ask(good)).to.include({ reason: 'allowed' })
    expect(server.tokenRequests.map(({ outcome }) => outcome)).to.deep.equal(['granted', 'granted'])
    const [before, after] = server.tokenRequests.map(({ refreshToken }) => refreshToken)
    expect(before).to.equal(pair.refreshToken)
    expect(after).to.not.equal(before)
    expect(server.revokedGrants).to.deep.equal([])
  })

  it('P23 backs off and says so where the family is revoked: the second use of a refresh token ends every one', async () => {
    const server = await serve()
    const pair = await server.pairFor('gateway')
    const sidecar = await open(server, refresh(server, pair))
    const good = await server.userToken()
    sidecar.clock.advance(0.81 * 300_000)
    await until(async () => (await renewals(sidecar)) === 1)
    expect(await sidecar.ask(good)).to.include({ reason: 'allowed' })
    // A thief uses the first one again.
    const thief = await fetch(server.tokenUrl, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: pair.refreshToken }),
      headers: { authorization: `Basic ${btoa(`gateway:${encodeURIComponent(SECRET)}`)}` },
    })
    expect(thief.status).to.equal(400)
    expect(server.revokedGrants).to.have.length(1)
    // One Check meets the dead own token, and its renewal is refused; no other call goes out for it.
    expect(await sidecar.ask(good)).to.include({ reason: 'key_manager_unavailable' })
    expect(await sidecar.ask(good)).to.include({ reason: 'key_manager_unavailable' })
    expect(await renewals(sidecar, 'refresh_token', 'rejected')).to.equal(1)
    expect(server.tokenRequests).to.have.length(3)
    expect(sidecar.logs.join('')).to.contain('invalid_grant')
  })

  it('P21 never uses a refresh token twice, and fails no Check, in 10,000 Checks over 100 renewals', async function () {
    this.timeout(180_000)
    const CHECKS = 10_000
    const RENEWALS = 100
    const AT_ONCE = 16
    const server = await serve()
    const pair = await server.pairFor('gateway')
    const sidecar = await open(server, refresh(server, pair))
    const good = await Promise.all(Array.from({ length: 64 }, () => server.userToken()))
    const renewed = () => server.tokenRequests.filter(({ outcome }) => outcome === 'granted').length
    let sent = 0
    const failed: Seen[] = []

    // The clock moves behind each answer, so that renewals fall due, and are answered, among Checks under way.
    const caller = async (): Promise<void> => {
      while (failed.length === 0 && (sent < CHECKS || renewed() < RENEWALS)) {
        const token = good[sent % good.length] ?? ''
        sent += 1
        const seen = await sidecar.ask(token)
        if (seen.reason !== 'allowed') failed.push(seen)
        sidecar.clock.advance((0.85 * OWN_LIFE_SEC * 1_000 * RENEWALS) / CHECKS)
      }
    }
    sidecar.clock.advance(0.74 * 300_000)
    await Promise.all(Array.from({ length: AT_ONCE }, caller))

    expect(failed).to.deep.equal([])
    expect(sent).to.be.at.least(CHECKS)
    expect(renewed()).to.be.at.least(RENEWALS)
    const used = server.tokenRequests.map(({ refreshToken }) => refreshToken)
    expect(used[0]).to.equal(pair.refreshToken)
    expect(new Set(used).size).to.equal(used.length)
    expect(
      server.tokenRequests.every(({ grant, outcome }) => grant === 'refresh_token' && outcome === 'granted'),
    ).to.equal(true)
    expect(server.revokedGrants).to.deep.equal([])
    expect(server.front.refused).to.equal(0)
    // Checks of one token at one time share a call; nearly all had one of their own.
    expect(server.front.allowed).to.be.within(0.95 * sent, sent)
  })
})
