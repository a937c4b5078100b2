import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { metadataIssuers } from '../../../src/config/url.ts'
import { createDiscovery, readMetadata } from '../../../src/keymanager/discovery.ts'
import { createKeyManager, type KeyManager } from '../../../src/keymanager/key-manager.ts'
import { defaultTls } from '../../../src/net/tls.ts'
import { basicConfig } from '../../support/app.ts'
import { createFakeClock } from '../../support/clock.ts'
import { type ScriptedKeyManager, startKeyManager } from '../../support/key-manager.ts'
import { type Pair, startPair } from '../../support/pair.ts'
import { loadWell } from '../config/writing.ts'

const URL_ = 'https://as.example.com/.well-known/oauth-authorization-server/tenant'
const options = { url: URL_, allowInsecure: false, mutualTls: undefined }
const metadata = {
  issuer: 'https://as.example.com/tenant',
  introspection_endpoint: 'https://as.example.com/introspect',
  token_endpoint: 'https://as.example.com/token',
  mtls_endpoint_aliases: { token_endpoint: 'https://mtls.example.com/token' },
}
const read = (changes: object, more: object = {}) =>
  readMetadata(200, JSON.stringify({ ...metadata, ...changes }), { ...options, ...more })

describe('RFC 8414 metadata', () => {
  it('knows the issuer of each address', () => {
    const https = 'https://as.example.com'
    expect(metadataIssuers(`${https}/.well-known/oauth-authorization-server`)[0]).to.equal(https)
    expect(metadataIssuers(`${https}/realms/x/.well-known/openid-configuration`)[0]).to.equal(`${https}/realms/x`)
    expect(metadataIssuers(URL_)[0]).to.equal(`${https}/tenant`)
    expect(metadataIssuers(`${https}/realms/x`)).to.deep.equal([])
    expect(metadataIssuers('https://.well-known/openid-configuration')).to.deep.equal([])
  })
  it('compares the issuer with its address as it is written, and in its normal form (section 3.3)', () => {
    for (const origin of ['https://AS.example.com', 'https://as.example.com:443']) {
      const issuer = `${origin}/tenant`
      const url = URL_.replace('https://as.example.com', origin)
      expect(read({ issuer }, { url })).to.be.an('object')
      // The same host and port, as servers mostly write them.
      expect(read({}, { url })).to.be.an('object')
      expect(read({ issuer: `${issuer}x` }, { url })).to.be.a('string')
    }
  })
  it('may begin with a byte order mark', () => {
    expect(readMetadata(200, `\uFEFF${JSON.stringify(metadata)}`, options)).to.be.an('object')
  })
  it('needs no introspection_endpoint where its address is written', () => {
    const written = { introspectionNeeded: false }
    for (const introspection_endpoint of [undefined, 'http://as.example.com/introspect']) {
      expect(read({ introspection_endpoint }, written)).to.deep.equal({
        introspection: undefined,
        token: metadata.token_endpoint,
      })
    }
    expect(read({}, written)).to.include({ introspection: metadata.introspection_endpoint })
    expect(read({ introspection_endpoint: undefined }, { introspectionNeeded: true })).to.be.a('string')
  })
  it('names both endpoints, and the mutual TLS ones where they are asked for', () => {
    expect(read({})).to.deep.equal({ introspection: metadata.introspection_endpoint, token: metadata.token_endpoint })
    expect(read({}, { mutualTls: 'token' })).to.deep.equal({
      introspection: metadata.introspection_endpoint,
      token: 'https://mtls.example.com/token',
    })
  })
  it('is refused with another issuer, without an endpoint, with one that may not be used, and as garbage', () => {
    expect(read({ issuer: 'https://as.example.com/other' })).to.be.a('string')
    expect(read({ issuer: undefined })).to.be.a('string')
    expect(read({ introspection_endpoint: undefined })).to.be.a('string')
    expect(read({ introspection_endpoint: 'http://as.example.com/introspect' })).to.be.a('string')
    expect(read({ introspection_endpoint: 'file:///etc/passwd' })).to.be.a('string')
    expect(readMetadata(200, '<html>', options)).to.be.a('string')
    expect(readMetadata(404, '{}', options)).to.be.a('string')
    expect(readMetadata(200, 'null', options)).to.be.a('string')
  })
})

describe('RFC 8414 metadata of a key manager that wants our certificate', () => {
  const local = { allowInsecure: true, mutualTls: 'introspection' }
  it('has no endpoint over plain http, which shows none', () => {
    const plain = 'http://localhost/introspect'
    expect(read({ introspection_endpoint: plain }, local))
      .to.be.a('string')
      .and.contain('https')
    expect(read({ mtls_endpoint_aliases: { introspection_endpoint: plain } }, local)).to.be.a('string')
    expect(read({ introspection_endpoint: plain }, { ...local, mutualTls: undefined })).to.include({
      introspection: plain,
    })
    // The certificate is for the token endpoint: the own token introspects.
    expect(read({ introspection_endpoint: plain }, { ...local, mutualTls: 'token' })).to.deep.equal({
      introspection: plain,
      token: 'https://mtls.example.com/token',
    })
    expect(read({ token_endpoint: plain, mtls_endpoint_aliases: {} }, { ...local, mutualTls: 'token' })).to.include({
      token: '',
    })
  })
})

describe('keyManager.discoveryUrl', () => {
  let pair: Pair
  let authority: ScriptedKeyManager
  afterEach(async () => {
    await pair.close()
    await authority.close()
  })

  it('finds the endpoint, follows it within the hour, and keeps it while the metadata cannot be read', async () => {
    authority = await startKeyManager()
    const clock = createFakeClock({ wallMs: Date.now() })
    const issuer = `http://127.0.0.1:${authority.port}`
    let endpoint = '/one'
    let broken = false
    const paths: string[] = []
    authority.answer((request) => {
      if (!request.path.startsWith('/.well-known/')) {
        paths.push(request.path)
        return { body: { active: true } }
      }
      return broken
        ? { status: 500, body: '' }
        : { body: { issuer, introspection_endpoint: `${issuer}${endpoint}`, token_endpoint: `${issuer}/token` } }
    })
    const config = basicConfig('').replace(
      'introspectUrl = ""',
      `discoveryUrl = "${issuer}/.well-known/oauth-authorization-server"`,
    )
    pair = await startPair({ config, clock })
    expect((await pair.ask('Bearer one')).reason).to.equal('allowed')
    endpoint = '/two'
    const before = authority.requests.length
    clock.advance(3_600_000)
    while (authority.requests.length === before) await new Promise(setImmediate)
    while (!pair.running.logs.join('').includes('/two')) await new Promise(setImmediate)
    expect((await pair.ask('Bearer two')).reason).to.equal('allowed')
    broken = true
    clock.advance(3_600_000)
    while (!pair.running.logs.join('').includes('discovery_failed')) await new Promise(setImmediate)
    expect((await pair.ask('Bearer three')).reason).to.equal('allowed')
    expect(paths).to.deep.equal(['/one', '/two', '/two'])
    pair.running.rewrite(`${config}[policy]\nrequiredScopes = ["a"]\n`)
    expect(await pair.running.app.reload()).to.equal('success')
    expect((await pair.ask('Bearer four')).reason, 'a reload forgets nothing of it').to.equal('insufficient_scope')
  })
})

describe('discovery', () => {
  it('reads again whatever went wrong, and says so', async () => {
    const authority = await startKeyManager()
    const issuer = `http://127.0.0.1:${authority.port}`
    authority.answer({ body: { issuer, introspection_endpoint: `${issuer}/introspect` } })
    const clock = createFakeClock()
    const nothing = () => undefined
    let breaks = true
    const discovery = createDiscovery({
      ...options,
      url: `${issuer}/.well-known/oauth-authorization-server`,
      get tls() {
        if (breaks) throw new Error('canary')
        return defaultTls
      },
      proxy: undefined,
      clock,
      log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    })
    expect(await discovery.endpoints()).to.equal(undefined)
    expect(discovery.lastError()).to.equal('the metadata could not be read')
    breaks = false
    clock.advance(1_000)
    expect(await discovery.endpoints()).to.deep.equal({ introspection: `${issuer}/introspect`, token: '' })
    expect(discovery.lastError()).to.equal(undefined)
    discovery.close()
    await authority.close()
  })
})

describe('the own token of a discovered key manager', () => {
  let authority: ScriptedKeyManager
  let keyManager: KeyManager
  afterEach(async () => {
    await keyManager.close()
    await authority.close()
  })

  /** Why there is none. */
  async function missing(metadata: object, written = ''): Promise<string> {
    authority = await startKeyManager()
    const issuer = `http://127.0.0.1:${authority.port}`
    const body = { issuer, introspection_endpoint: `${issuer}/introspect`, ...metadata }
    authority.answer(({ path }) => ({ body: path === '/token' ? { access_token: 'own', token_type: 'Bearer' } : body }))
    const { keyManager: config } = loadWell(`
[keyManager]
discoveryUrl = "${issuer}/.well-known/oauth-authorization-server"
${written}
[keymanager.security.oauth2]
enabled = true
[keymanager.security.oauth2.clientCredential]
enabled = true
clientId = "gateway"
clientSecret = "canary"
`)
    const nothing = () => undefined
    keyManager = createKeyManager(config, {
      clock: createFakeClock(),
      log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
      metrics: {
        introspection: nothing,
        introspectionsInFlight: nothing,
        breaker: nothing,
        ownTokenRenewal: nothing,
        ownTokenExpiresAt: nothing,
      },
    })
    const taken = await keyManager.ownToken?.token.take()
    return taken?.kind === 'unavailable' ? taken.detail : ''
  }

  it('is obtained at the discovered token endpoint where the introspection endpoint is written and not in the metadata', async () => {
    const metadata = {
      introspection_endpoint: undefined,
      get token_endpoint() {
        return `http://127.0.0.1:${authority.port}/token`
      },
    }
    expect(await missing(metadata, 'introspectUrl = "http://127.0.0.1:9/introspect"')).to.equal('')
    expect(keyManager.status().ownToken).to.include({ state: 'fresh' })
  })

  it('says that the metadata names no token endpoint that may be used, and what to do', async () => {
    for (const token_endpoint of [undefined, 'http://as.example.com/token']) {
      expect(await missing({ token_endpoint }))
        .to.contain('the metadata names no token_endpoint that may be used: write tokenUrl')
        .and.contain('allowInsecure')
      expect(keyManager.status().discovery).to.equal(undefined)
      await keyManager.close()
      await authority.close()
    }
  })
  it('says that discovery has not succeeded where it has not', async () => {
    expect(await missing({ issuer: 'http://127.0.0.1/other' })).to.contain('discovery has not succeeded')
  })
})
