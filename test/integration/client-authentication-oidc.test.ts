/** Every way of authenticating at `/introspect` against a real authorization server, which is the judge of it. */
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { after, afterEach, before, describe, it } from 'mocha'
import type { ClientMetadata } from 'oidc-provider'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Certificates, makeCertificates } from '../support/certificates.ts'
import { connectChecks, httpCheck } from '../support/check-client.ts'
import { type OidcServer, type OidcServerOptions, oidcClient, startOidcServer } from '../support/own-token-oidc.ts'
import { seenIn } from '../support/pair.ts'

/** Form-decoding turns it into another secret; long enough for HS512 (RFC 7518 section 3.2). */
const SECRET = 'se%2Bcret+with:colon and 0123456789 0123456789 0123456789 0123456789'
const WRONG_SECRET = 'another+secret of 0123456789 0123456789 0123456789 0123456789 0123456789'

interface Method {
  readonly name: string
  /** How the client is registered. */
  readonly client: Partial<ClientMetadata>
  /** `[keymanager.security.basic]` besides the user name. */
  readonly right: string
  readonly wrong: string
}

function conf(introspectUrl: string, basic: string, more = ''): string {
  return `
[keyManager]
introspectUrl = "${introspectUrl}"
startupProbe = false
${more}
[keymanager.security.basic]
enabled = true
username = "gateway"
${basic}
`
}

describe('client authentication at a real authorization server (oidc-provider)', () => {
  const cleanUps: (() => Promise<void>)[] = []
  const dir = mkdtempSync(join(tmpdir(), 'client-authentication-'))

  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
  })

  after(() => rmSync(dir, { recursive: true, force: true }))

  async function serve(options: OidcServerOptions): Promise<OidcServer> {
    const server = await startOidcServer(options)
    cleanUps.push(() => server.close())
    return server
  }

  async function open(toml: string) {
    const app = await startTestApp(toml)
    cleanUps.push(() => app.close())
    const checks = connectChecks(app.app.addresses.extAuthz[0] ?? '')
    cleanUps.push(async () => checks.close())
    return {
      ask: async (token: string) =>
        seenIn(await checks.check(httpCheck({ headers: { authorization: `Bearer ${token}` } }))),
      introspections: (outcome: string) => introspections(app, outcome),
    }
  }

  /** The right credentials let good tokens in and keep unknown ones out; with the wrong ones nothing is decided. */
  async function judge(server: OidcServer, right: string, wrong: string): Promise<void> {
    const good = await server.userToken()
    const accepted = await open(right)
    expect(await accepted.ask(good)).to.include({ reason: 'allowed', status: '200' })
    expect(await accepted.ask('a-token-of-nobody')).to.include({ reason: 'inactive_token', status: 'Unauthorized' })
    expect(await accepted.introspections('active')).to.equal(1)
    expect(await accepted.introspections('inactive')).to.equal(1)
    expect(await accepted.introspections('unauthorized')).to.equal(0)

    const refused = await open(wrong)
    expect(await refused.ask(good)).to.include({
      reason: 'key_manager_unavailable',
      status: 'ServiceUnavailable',
      allowed: false,
    })
    expect(await refused.introspections('unauthorized')).to.equal(1)
    expect(await refused.introspections('active')).to.equal(0)
  }

  function keyFile(name: string, key: KeyObject): string {
    const file = join(dir, name)
    writeFileSync(file, key.export({ format: 'pem', type: 'pkcs8' }))
    return file
  }

  const byKey = (alg: string, pair: { publicKey: KeyObject; privateKey: KeyObject }, other: KeyObject): Method => ({
    name: `private_key_jwt, ${alg}`,
    client: {
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [{ ...pair.publicKey.export({ format: 'jwk' }), kid: 'first', use: 'sig' }] },
    },
    right: `method = "private_key_jwt"
assertionKeyFile = "${keyFile(`${alg}.pem`, pair.privateKey)}"
assertionKeyId = "first"
assertionAlg = "${alg}"`,
    wrong: `method = "private_key_jwt"
assertionKeyFile = "${keyFile(`${alg}-other.pem`, other)}"
assertionKeyId = "first"
assertionAlg = "${alg}"`,
  })

  const rsa = () => generateKeyPairSync('rsa', { modulusLength: 2048 })
  const ec = (namedCurve = 'prime256v1') => generateKeyPairSync('ec', { namedCurve })
  const ed = () => generateKeyPairSync('ed25519')

  const METHODS: readonly Method[] = [
    {
      name: 'Basic, encoding = "form"',
      client: { token_endpoint_auth_method: 'client_secret_basic', client_secret: SECRET },
      right: `encoding = "form"\npassword = "${SECRET}"`,
      wrong: `encoding = "form"\npassword = "${WRONG_SECRET}"`,
    },
    {
      name: 'method = "post"',
      client: { token_endpoint_auth_method: 'client_secret_post', client_secret: SECRET },
      right: `method = "post"\npassword = "${SECRET}"`,
      wrong: `method = "post"\npassword = "${WRONG_SECRET}"`,
    },
    ...['HS256', 'HS384', 'HS512'].map(
      (alg): Method => ({
        name: `client_secret_jwt, ${alg}`,
        client: { token_endpoint_auth_method: 'client_secret_jwt', client_secret: SECRET },
        right: `method = "client_secret_jwt"\npassword = "${SECRET}"\nassertionAlg = "${alg}"`,
        wrong: `method = "client_secret_jwt"\npassword = "${WRONG_SECRET}"\nassertionAlg = "${alg}"`,
      }),
    ),
    byKey('RS256', rsa(), rsa().privateKey),
    byKey('PS256', rsa(), rsa().privateKey),
    byKey('ES256', ec(), ec().privateKey),
    byKey('ES384', ec('secp384r1'), ec('secp384r1').privateKey),
    byKey('EdDSA', ed(), ed().privateKey),
    byKey('Ed25519', ed(), ed().privateKey),
  ]

  for (const { name, client, right, wrong } of METHODS) {
    it(`introspects by ${name}; a wrong credential decides nothing`, async () => {
      const server = await serve({ clients: [oidcClient('gateway', client)] })
      await judge(server, conf(server.introspectUrl, right), conf(server.introspectUrl, wrong))
    })
  }

  it('signs a new assertion for each call: this server takes none twice', async () => {
    const pair = ec()
    const { client, right } = byKey('ES256', pair, pair.privateKey)
    const server = await serve({ clients: [oidcClient('gateway', client)] })
    const { ask, introspections } = await open(conf(server.introspectUrl, right))
    const tokens = await Promise.all(Array.from({ length: 20 }, () => server.userToken()))
    for (const seen of await Promise.all(tokens.map(ask))) expect(seen).to.include({ reason: 'allowed' })
    expect(await introspections('active')).to.equal(20)
  })

  it('names the issuer in the assertion where assertionAudience says so; an audience of others is refused', async () => {
    const pair = ec()
    const { client, right } = byKey('ES256', pair, pair.privateKey)
    const server = await serve({ clients: [oidcClient('gateway', client)] })
    await judge(
      server,
      conf(server.introspectUrl, `${right}\nassertionAudience = "${server.issuer}"`),
      conf(server.introspectUrl, `${right}\nassertionAudience = "https://another.example"`),
    )
  })

  describe('by mutual TLS', () => {
    let own: Certificates
    let foreign: Certificates

    before(() => {
      own = makeCertificates()
      foreign = makeCertificates()
    })

    after(() => {
      own.remove()
      foreign.remove()
    })

    const tls = (client: Certificates): string => `
[keyManager.tls]
caFile = "${own.caFile}"
certFile = "${client.clientCertFile}"
keyFile = "${client.clientKeyFile}"
`
    const secured = () => ({ ...own.server, requestCert: true, rejectUnauthorized: false })

    it('introspects by tls_client_auth; a certificate of another authority decides nothing', async () => {
      const server = await serve({
        tls: secured(),
        clients: [
          oidcClient('gateway', {
            token_endpoint_auth_method: 'tls_client_auth',
            tls_client_auth_subject_dn: 'CN=client',
          }),
        ],
      })
      const basic = 'method = "tls_client_auth"'
      await judge(server, conf(server.introspectUrl, basic, tls(own)), conf(server.introspectUrl, basic, tls(foreign)))
    })

    it('introspects by self_signed_tls_client_auth: the very certificate that is registered, no other', async () => {
      const certificate = new X509Certificate(readFileSync(own.clientCertFile))
      const jwk = { ...certificate.publicKey.export({ format: 'jwk' }), x5c: [certificate.raw.toString('base64')] }
      const server = await serve({
        tls: secured(),
        clients: [
          oidcClient('gateway', { token_endpoint_auth_method: 'self_signed_tls_client_auth', jwks: { keys: [jwk] } }),
        ],
      })
      const basic = 'method = "tls_client_auth"'
      await judge(server, conf(server.introspectUrl, basic, tls(own)), conf(server.introspectUrl, basic, tls(foreign)))
    })
  })
})

async function introspections({ app }: TestApp, outcome: string): Promise<number> {
  const text = await (await fetch(`http://${app.addresses.admin}/metrics`)).text()
  const [, value] = new RegExp(`^microgw_introspections_total\\{outcome="${outcome}"\\} (\\d+)$`, 'm').exec(text) ?? []
  return Number(value)
}
