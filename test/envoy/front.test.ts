/** A real Envoy in front of the real app, an upstream that echoes what it got behind it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import { connect } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { after, before, describe, it } from 'mocha'
import {
  ENVOY_VERSION,
  findEnvoy,
  freePort,
  frontConfig,
  installEnvoy,
  type RunningEnvoy,
  startEnvoy,
} from '../../scripts/envoy.ts'
import { basicConfig, startTestApp, type TestApp } from '../support/app.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'

const VERSIONS = [ENVOY_VERSION, ...(process.env['ENVOY_VERSIONS'] ?? '').split(/[ ,]+/).filter((name) => name !== '')]
const MANAGED = ['x-auth-subject', 'x-auth-username', 'x-auth-client-id', 'x-auth-scope']
const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
  /** Header lines as the upstream got them: [name, value], repeats kept. */
  readonly upstream: readonly (readonly [string, string])[]
}

/** Sends raw header lines, repeats included. */
function send(port: number, headers: readonly string[], path = '/orders'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      { port, host: '127.0.0.1', path, headers: ['host', 'api.example.com', ...headers] },
      (incoming) => {
        let body = ''
        incoming.setEncoding('utf8').on('data', (chunk: string) => {
          body += chunk
        })
        incoming.on('end', () =>
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            body,
            upstream: incoming.statusCode === 200 ? JSON.parse(body) : [],
          }),
        )
      },
    )
    outgoing.on('error', reject).end()
  })
}

const valuesOf = (answer: Answer, name: string): string[] =>
  answer.upstream.filter(([header]) => header.toLowerCase() === name).map(([, value]) => value)

async function startUpstream(): Promise<{ server: Server; port: number }> {
  const server = createServer((request, response) => {
    const lines: [string, string][] = []
    for (let i = 0; i < request.rawHeaders.length; i += 2) {
      lines.push([request.rawHeaders[i] ?? '', request.rawHeaders[i + 1] ?? ''])
    }
    response.end(JSON.stringify(lines))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { server, port: address.port }
}

for (const version of new Set(VERSIONS)) {
  for (const rawHeaders of [false, true]) {
    describe(`Envoy ${version}, ${rawHeaders ? 'raw headers over a Unix socket' : 'header map over TCP'}`, function () {
      this.timeout(180_000)
      let keyManager: ScriptedKeyManager
      let running: TestApp
      let envoy: RunningEnvoy
      let upstream: { server: Server; port: number }
      let port: number
      let dir: string

      before(async function () {
        const binary = findEnvoy(version) ?? installEnvoy(version)
        if (binary === undefined) {
          if (process.env['CI'] === 'true') throw new Error(`Envoy ${version} is missing`)
          this.skip()
        }
        dir = mkdtempSync(join(tmpdir(), 'micro-gw-front-'))
        keyManager = await startKeyManager()
        upstream = await startUpstream()
        const rules = '[[policy.rules]]\nname = "open"\npaths = ["/open/*"]\nanonymous = true\n'
        running = await startTestApp(basicConfig(keyManager.url, rules), {
          flags: {
            'keyManager.startupProbe': 'false',
            'keyManager.breaker.failures': '1000',
            ...(rawHeaders ? { 'extAuthz.listen': `unix:${join(dir, 'authz.sock')}` } : {}),
          },
        })
        port = await freePort()
        const config = frontConfig({
          listenPort: port,
          sidecar: running.app.addresses.extAuthz[0] ?? '',
          upstreamPort: upstream.port,
          timeout: '0.2s',
          accessLog: join(dir, 'access.log'),
          filter: { encode_raw_headers: rawHeaders },
        })
        envoy = await startEnvoy({ binary, config })
        keyManager.tokens.set('good', {
          active: true,
          sub: 'alice',
          client_id: 'shop',
          scope: 'a b',
          exp: inSeconds(300),
        })
      })

      after(async () => {
        await envoy?.stop()
        await running?.close()
        await keyManager?.close()
        upstream?.server.closeAllConnections()
        await new Promise<void>((resolve) =>
          upstream === undefined ? resolve() : upstream.server.close(() => resolve()),
        )
        if (dir !== undefined) rmSync(dir, { recursive: true, force: true })
      })

      it('allows, adds the claim headers and removes the credentials', async () => {
        const answer = await send(port, ['authorization', 'Bearer good'])
        expect(answer.status).to.equal(200)
        expect(valuesOf(answer, 'x-auth-subject')).to.deep.equal(['alice'])
        expect(valuesOf(answer, 'x-auth-scope')).to.deep.equal(['a b'])
        expect(valuesOf(answer, 'authorization')).to.deep.equal([])
      })

      it('F30 E04 overwrites or removes every managed header a client sends, doubled and with underscores too', async () => {
        const spoofed = MANAGED.flatMap((name) => [name, 'evil', name, 'evil2', name.replaceAll('-', '_'), 'evil'])
        for (const headers of [['authorization', 'Bearer good'], []]) {
          const answer = await send(port, [...spoofed, ...headers], '/open/x')
          expect(answer.status).to.equal(200)
          expect(answer.body).to.not.contain('evil')
        }
      })

      it('E07 denies two Authorization headers with 400', async () => {
        const answer = await send(port, ['authorization', 'Bearer good', 'authorization', 'Bearer good'])
        expect(answer.status).to.equal(400)
        expect(answer.headers['www-authenticate']).to.contain('invalid_request')
      })

      it("denies with WSO2's body, the challenge, and no-store", async () => {
        const none = await send(port, [])
        expect(none.status).to.equal(401)
        expect(none.headers['www-authenticate']).to.equal('Bearer realm="micro-gw"')
        expect(JSON.parse(none.body).fault.code).to.equal(900902)
        const bad = await send(port, ['authorization', 'Bearer bad'])
        expect(bad.status).to.equal(401)
        expect(bad.headers['www-authenticate']).to.contain('error="invalid_token"')
        expect(bad.headers['cache-control']).to.equal('no-store')
        expect(bad.headers['content-type']).to.equal('application/json')
        expect(bad.headers['x-authz-decision-id']).to.match(/^[0-9a-f]{8}-\d{12}$/)
      })

      it('answers 503 with Retry-After while the key manager fails', async () => {
        keyManager.answer(() => ({ status: 500, headers: {}, body: '' }))
        const answer = await send(port, ['authorization', 'Bearer fails'])
        expect(answer.status).to.equal(503)
        expect(answer.headers['retry-after']).to.equal('1')
        expect(answer.headers['www-authenticate']).to.equal(undefined)
      })

      it("F01 answers a slow key manager's Checks itself, inside Envoy's 200 ms, and never allows", async () => {
        keyManager.answer(() => new Promise(() => {}))
        const answers = await Promise.all(
          Array.from({ length: 20 }, (_, i) => send(port, ['authorization', `Bearer slow${i}`])),
        )
        expect(answers.every((answer) => answer.status === 503)).to.equal(true)
        const ours = answers.filter((answer) => answer.headers['x-authz-decision-id'] !== undefined)
        expect(ours.length).to.be.at.least(19)
      })

      it('2.6 a gRPC client sees status 16 for a missing token', async () => {
        const session = connect(`http://127.0.0.1:${port}`)
        const stream = session.request({
          ':method': 'POST',
          ':path': '/shop.Orders/Get',
          'content-type': 'application/grpc',
          te: 'trailers',
        })
        const headers = await new Promise<Record<string, unknown>>((resolve, reject) => {
          stream.on('response', resolve).on('error', reject).end()
        })
        session.destroy()
        expect(String(headers['grpc-status'])).to.equal('16')
      })

      it('E14 files reason and subject under its metadata namespace, on allow and deny', async () => {
        const path = join(dir, 'access.log')
        const flushed = () =>
          readFileSync(path, 'utf8').includes('"alice"') && readFileSync(path, 'utf8').includes('missing_credentials')
        // Envoy flushes its log every 10 s by default: reopening makes it write.
        for (let i = 0; i < 600 && !flushed(); i++) {
          await fetch(`${envoy.admin}/reopen_logs`, { method: 'POST' })
        }
        const lines = readFileSync(path, 'utf8')
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line))
        expect(lines.some((line) => line.reason === 'allowed' && line.sub === 'alice' && line.status === 200)).to.equal(
          true,
        )
        expect(lines.some((line) => line.reason === 'missing_credentials' && line.status === 401)).to.equal(true)
      })
    })
  }
}
