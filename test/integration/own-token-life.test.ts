import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { type OwnTokenPair, oauth2Config, startOwnTokenPair } from '../support/authority.ts'
import { makeCertificates } from '../support/certificates.ts'
import { createFakeClock } from '../support/clock.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'
import { startPair } from '../support/pair.ts'

describe('the own token in the life of a sidecar', () => {
  const closers: (() => Promise<void> | void)[] = []
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })
  const own = async (options: Parameters<typeof startOwnTokenPair>[0]): Promise<OwnTokenPair> => {
    const pair = await startOwnTokenPair(options)
    closers.push(() => pair.close())
    return pair
  }
  const folder = (): string => {
    const path = mkdtempSync(join(tmpdir(), 'micro-gw-own-'))
    closers.push(() => rmSync(path, { recursive: true, force: true }))
    return path
  }

  it('P26 a rotated refresh token is on disk before its access token is used, and survives a restart', async () => {
    const stateFile = join(folder(), 'state.json')
    const options = {
      grant: 'direct+refresh',
      rotate: true,
      edit: (toml: string) => toml.replace('refreshToken =', `stateFile = "${stateFile}"\nrefreshToken =`),
    } as const
    const first = await own(options)
    let onDisk = ''
    first.authority.onIntrospect = () => {
      onDisk = readFileSync(stateFile, 'utf8')
      return { body: { active: true } }
    }
    expect((await first.ask('Bearer good-1')).reason).to.equal('allowed')
    expect(onDisk).to.include('refresh-1')
    const port = first.authority.server.port
    // The same sidecar again: another process would find the same file, at the same authority.
    const text = readFileSync(first.running.configFile, 'utf8')
    await first.running.app.stop()
    const second = await startPair({ config: text })
    closers.push(() => second.close())
    expect((await second.ask('Bearer good-2')).reason).to.equal('allowed')
    expect(first.authority.server.port).to.equal(port)
    expect(first.authority.tokenRequests.map(({ form }) => form.get('refresh_token'))).to.deep.equal([
      'refresh-0',
      'refresh-1',
    ])
  })

  it('P26 warns once where a rotation is kept in memory alone', async () => {
    const clock = createFakeClock({ wallMs: Date.now() })
    const pair = await own({ grant: 'direct+refresh', rotate: true, clock })
    await pair.ask('Bearer good-0')
    for (let renewal = 1; renewal < 4; renewal += 1) {
      clock.advance(3_600_000 * 0.8)
      while (pair.authority.tokenRequests.length <= renewal) await new Promise(setImmediate)
      await pair.ask(`Bearer good-${renewal}`)
    }
    expect(pair.running.logs.filter((line) => line.includes('own_token_rotated'))).to.have.length(1)
  })

  it('P21 the old own token serves while its renewal is out or failed, until its expiry and not longer', async () => {
    const clock = createFakeClock({ wallMs: Date.now() })
    const pair = await own({ clock })
    await pair.ask('Bearer good-1')
    pair.authority.onToken = () => ({ status: 500, body: '' })
    clock.advance(3_600_000 * 0.8)
    while (pair.authority.tokenRequests.length < 2) await new Promise(setImmediate)
    expect((await pair.ask('Bearer good-2')).reason).to.equal('allowed')
    const status = await (await fetch(`http://${pair.running.app.addresses.localAdmin}/status`)).text()
    expect(status).to.include('"state"').and.include('the token endpoint answered 500')
    const attempts = pair.authority.tokenRequests.length
    clock.advance(4_900)
    await pair.ask('Bearer good-3')
    // At least 5 s between attempts while something serves.
    expect(pair.authority.tokenRequests).to.have.length(attempts)
    clock.advance(3_600_000 * 0.2)
    expect((await pair.ask('Bearer good-4')).reason).to.equal('key_manager_unavailable')
    expect(await pair.metric('microgw_own_token_expiry_timestamp_seconds')).to.equal(0)
  })

  it('P24 lives that make no sense bring neither a loop nor a crash', async () => {
    for (const expires_in of [0, -1, 0.5, 'soon', undefined, 1e308, [1]]) {
      const clock = createFakeClock({ wallMs: Date.now() })
      const pair = await own({
        clock,
        prepare: (authority) => {
          authority.more = { expires_in }
        },
      })
      expect((await pair.ask('Bearer good-1')).reason).to.equal('allowed')
      clock.advance(10_000)
      expect((await pair.ask('Bearer good-2')).reason).to.equal('allowed')
      expect(pair.authority.tokenRequests).to.have.length(1)
    }
  })

  it('C61 says so where fewer scopes are granted', async () => {
    const pair = await own({
      prepare: (authority) => {
        authority.more = { expires_in: 60, scope: 'introspection' }
      },
    })
    expect((await pair.ask('Bearer good-1')).reason).to.equal('allowed')
    expect(pair.running.logs.join('')).to.include('own_token_scope')
  })

  it('the probe waits for the first own token, and is not counted', async () => {
    const pair = await own({ flags: { 'keyManager.startupProbe': 'true' } })
    while (!pair.running.logs.join('').includes('key_manager_probe')) await new Promise(setImmediate)
    expect(pair.running.logs.find((line) => line.includes('key_manager_probe'))).to.include('"outcome":"inactive"')
    expect(pair.authority.introspections[0]?.headers['authorization']).to.equal('Bearer own-1')
    expect(await pair.metric('microgw_introspections_total{outcome="inactive"}')).to.equal(0)
  })

  it('the authentik trap: says so once where the first 20 introspections were all inactive', async () => {
    const pair = await own({ flags: { 'keyManager.startupProbe': 'true' } })
    for (let index = 0; index < 19; index += 1) await pair.ask(`Bearer bad-${index}`)
    expect(pair.running.logs.join('')).not.to.include('all_inactive')
    for (let index = 19; index < 45; index += 1) await pair.ask(`Bearer bad-${index}`)
    expect(pair.running.logs.filter((line) => line.includes('all_inactive'))).to.have.length(1)
  })

  it('and is silent where one of them was active', async () => {
    const pair = await own({})
    await pair.ask('Bearer good-1')
    for (let index = 0; index < 30; index += 1) await pair.ask(`Bearer bad-${index}`)
    expect(pair.running.logs.join('')).not.to.include('all_inactive')
  })

  it('F32 own tokens, refresh tokens, secrets and passwords are in no log, page or metric', async () => {
    const pair = await own({ grant: 'password+refresh', rotate: true, flags: { 'log.level': 'debug' } })
    await pair.ask('Bearer good-1')
    pair.authority.live.clear()
    await pair.ask('Bearer good-2')
    pair.authority.onToken = (request) => ({ status: 400, body: { error: `echo ${request.body}` } })
    pair.authority.live.clear()
    await pair.ask('Bearer good-3')
    const pages = await Promise.all(
      ['/config', '/status', '/decisions', '/'].map(async (path) =>
        (await fetch(`http://${pair.running.app.addresses.localAdmin}${path}`)).text(),
      ),
    )
    const metrics = await (await fetch(`http://${pair.running.app.addresses.admin}/metrics`)).text()
    const output = [...pair.running.logs, ...pages, metrics].join('\n')
    for (const secret of ['own-1', 'own-2', 'refresh-1', 'refresh-2', 's%+cret', 'p&ss=w']) {
      expect(output, secret).not.to.include(secret)
    }
  })

  const secureAuthority = async (
    more: object,
    host = 'localhost',
  ): Promise<{
    server: ScriptedKeyManager
    text: string
    trust: string
    files: ReturnType<typeof makeCertificates>
  }> => {
    const files = makeCertificates({ serverNames: `DNS:${host}` })
    closers.push(() => files.remove())
    const { key, cert, ca } = files.server
    const server = await startKeyManager({ tls: { key, cert, ca, ...more } })
    closers.push(() => server.close())
    server.answer((request) =>
      request.path === '/token'
        ? { body: { access_token: 'own-1', token_type: 'Bearer', expires_in: 60 } }
        : { body: { active: true } },
    )
    const at = {
      tokenUrl: `https://${host}:${server.port}/token`,
      introspectUrl: `https://${host}:${server.port}/introspect`,
    }
    return {
      server,
      files,
      text: oauth2Config(at, 'clientCredential'),
      trust: `\n[keyManager.tls]\ncaFile = "${files.caFile}"\n`,
    }
  }

  it('F11 a token endpoint whose certificate is not trusted gets not one byte; with caFile it is used', async () => {
    const { server, text, trust } = await secureAuthority({})
    const untrusting = await startPair({ config: text })
    closers.push(() => untrusting.close())
    expect((await untrusting.ask('Bearer good')).reason).to.equal('key_manager_unavailable')
    expect(server.requests).to.have.length(0)
    const tls = 'microgw_own_token_renewals_total{grant="client_credentials",outcome="tls"}'
    expect(await untrusting.metric(tls)).to.equal(1)
    const trusting = await startPair({ config: text + trust })
    closers.push(() => trusting.close())
    expect((await trusting.ask('Bearer good')).reason).to.equal('allowed')
  })

  it('RFC 8705 tls_client_auth shows its certificate at both endpoints, and sends client_id and no secret', async () => {
    const { server, text, trust, files } = await secureAuthority({ requestCert: true, rejectUnauthorized: true })
    const config = `${text.replace('credentialBearer = "AUTH_HEADER_BEARER"', 'clientAuthMethod = "tls_client_auth"')}${trust}`
    const pair = await startPair({
      config: `${config}certFile = "${files.clientCertFile}"\nkeyFile = "${files.clientKeyFile}"\n`,
    })
    closers.push(() => pair.close())
    expect((await pair.ask('Bearer good')).reason).to.equal('allowed')
    const [token, introspection] = server.requests
    expect(token?.form.get('client_id')).to.equal('gate/way 1')
    expect(token?.form.has('client_secret')).to.equal(false)
    expect(token?.headers['authorization']).to.equal(undefined)
    expect(introspection?.headers['authorization']).to.equal('Bearer own-1')
  })

  it('goes through keyManager.proxy to both endpoints', async () => {
    const { server, text, trust } = await secureAuthority({}, 'keymanager.test')
    const tunnels: string[] = []
    const proxy = createServer()
    proxy.on('connect', (request, socket, head) => {
      tunnels.push(request.url ?? '')
      const upstream = connect(server.port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
        upstream.write(head)
        upstream.pipe(socket).pipe(upstream)
      })
      for (const one of [upstream, socket]) one.on('error', () => undefined)
    })
    await new Promise<void>((resolve) => void proxy.listen(0, '127.0.0.1', resolve))
    closers.push(() => void proxy.close())
    const { port } = proxy.address() as AddressInfo
    const pair = await startPair({ config: text + trust, flags: { 'keyManager.proxy': `http://127.0.0.1:${port}` } })
    closers.push(() => pair.close())
    expect((await pair.ask('Bearer good')).reason).to.equal('allowed')
    expect(tunnels).to.deep.equal([`keymanager.test:${server.port}`, `keymanager.test:${server.port}`])
  })
})
