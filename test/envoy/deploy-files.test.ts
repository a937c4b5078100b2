/** Every file of deploy/envoy/ through a real Envoy and the real sidecar: taken, allowing, refusing, and doing what its comments say. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { after, before, describe, it } from 'mocha'
import { validateEnvoy } from '../../scripts/envoy.ts'
import { runCheckConfig } from '../../src/commands/check-config.ts'
import { post as postStatus } from '../support/gateway.ts'
import { captureIo } from '../support/io.ts'
import { inSeconds } from '../support/pair.ts'
import { neighbours, spellings } from '../support/spellings.ts'
import {
  COMPOSE_FILE,
  type Deployed,
  type EnvoyFile,
  eventually,
  makePlaces,
  PAIRS,
  type Places,
  readDeployed,
  removePlaces,
  SERVER_NAME,
  sidecarText,
  startDeployed,
} from './deployed.ts'
import { type Answer, envoyOrSkip, send, VERSIONS, valuesOf } from './traffic.ts'

const FILES = Object.keys(PAIRS) as EnvoyFile[]
const CANARY = 'canary-token-3f9c1e'

describe('deploy/envoy/', () => {
  it('holds the files tested here, and no others', () => {
    const there = readdirSync(fileURLToPath(new URL('../../deploy/envoy/', import.meta.url)))
    expect(there.sort()).to.deep.equal([...new Set([COMPOSE_FILE, ...FILES, ...Object.values(PAIRS)])].sort())
  })

  for (const file of FILES) {
    it(`${PAIRS[file]} is taken by check-config without a word`, async () => {
      const places: Places = await makePlaces(file)
      const conf = join(places.dir, 'micro-gw.conf')
      writeFileSync(conf, sidecarText(file, places, 1))
      const io = captureIo()
      expect(await runCheckConfig(['--config', conf], {}, io)).to.equal(0)
      expect(io.output()).to.not.match(/: (?:error|warning):/)
      removePlaces(places)
    })
  }
})

for (const version of VERSIONS) {
  describe(`deploy/envoy/${COMPOSE_FILE}, Envoy ${version}`, () => {
    it('is taken as it is', function () {
      this.timeout(180_000)
      const { ok, output } = validateEnvoy(envoyOrSkip(version, this), readDeployed(COMPOSE_FILE))
      expect(ok, output).to.equal(true)
    })
  })

  for (const file of FILES) {
    describe(`deploy/envoy/${file}, Envoy ${version}`, function () {
      this.timeout(180_000)
      let running: Deployed
      const ask = (headers: readonly string[], path?: string): Promise<Answer> =>
        send(running.places.port, headers, path)
      const bearer = (token: string): string[] => ['authorization', `Bearer ${token}`]

      before(async function () {
        running = await startDeployed(envoyOrSkip(version, this), file)
        const { tokens } = running.keyManager
        tokens.set(CANARY, { active: true, sub: 'alice', client_id: 'shop', scope: 'a', exp: inSeconds(300) })
        tokens.set('other', { active: true, sub: 'bob', client_id: 'stock', scope: 'a', exp: inSeconds(300) })
      })

      after(() => running?.close())

      it('allows a good token, with our headers in place of the credentials', async () => {
        const answer = await ask([...bearer(CANARY), 'x-auth-subject', 'evil'])
        expect(answer.status).to.equal(200)
        expect(valuesOf(answer, 'x-auth-subject')).to.deep.equal(['alice'])
        expect(valuesOf(answer, 'authorization')).to.deep.equal([])
      })

      it('refuses no token, a bad one, and two', async () => {
        expect((await ask([])).status).to.equal(401)
        expect((await ask(bearer('bad'))).status).to.equal(401)
        expect((await ask([...bearer(CANARY), ...bearer(CANARY)])).status).to.equal(400)
      })

      it('sends the sidecar what it reads of the headers, and not 10 KB of cookies', async () => {
        const sent = 'cluster.authz.upstream_cx_tx_bytes_total'
        const before = await running.stat(sent)
        const cookie = `session=${'x'.repeat(10_000)}`
        const answer = await ask([...bearer(CANARY), 'cookie', cookie])
        expect(valuesOf(answer, 'cookie')).to.deep.equal([cookie])
        // A health check may come in between.
        expect((await running.stat(sent)) - before).to.be.at.most(5_000)
        const { allowed_headers: allowed } = await filterOf(running)
        expect(allowed.patterns.map(({ exact }) => exact)).to.deep.equal([
          'authorization',
          'x-request-id',
          'traceparent',
          'tracestate',
          'origin',
          'access-control-request-method',
        ])
      })

      it('logs our metadata, and no token', async () => {
        await ask([...bearer(CANARY), 'x-request-id', 'logged'], `/orders/1?access_token=${CANARY}`)
        await ask([...bearer('bad'), 'x-request-id', 'logged-deny'])
        const line = (id: string) => () => accessLog(running).find((entry) => entry.request_id === id)
        expect(await eventually('the line of the allow', line('logged'))).to.include({
          status: 200,
          path: '/orders/1',
          reason: 'allowed',
          client_id: 'shop',
        })
        const deny = await eventually('the line of the deny', line('logged-deny'))
        expect(deny).to.include({ status: 401, reason: 'inactive_token', details: 'ext_authz_denied' })
        expect(deny.decision_id).to.match(/^[0-9a-f]{8}-\d{12}$/)
        expect(readFileSync(running.places.accessLog, 'utf8')).to.not.contain(CANARY)
      })

      it('passes the health check', async () => {
        expect(await running.stat('cluster.authz.membership_healthy')).to.equal(running.instances.length)
      })

      it('has the filter settings of tcp.yaml', async () => {
        const filter = await filterOf(running)
        expect(filter.grpc_service.timeout).to.equal('1s')
        expect(filter.grpc_service.retry_policy).to.include({
          retry_on: 'connect-failure,refused-stream,unavailable,reset',
          num_retries: 1,
        })
        expect(filter).to.deep.include({
          status_on_error: { code: 'ServiceUnavailable' },
          encode_raw_headers: true,
          validate_mutations: true,
        })
        expect(filter.failure_mode_allow ?? false).to.equal(false)
      })

      if (file === 'tcp.yaml') {
        it('asks nothing on /public/, and still lets no managed header of a client through', async () => {
          const spoofed = ['x-auth-subject', 'evil', 'x_auth_subject', 'evil', 'x-auth-scope', 'evil']
          const answer = await ask([...spoofed, ...bearer('bad')], '/public/logo')
          expect(answer.status).to.equal(200)
          expect(answer.body).to.not.contain('evil')
        })

        it("applies the route's context", async () => {
          const { status, headers } = await post(running.places.port, '/orders', CANARY)
          expect(status).to.equal(403)
          expect(headers.get('www-authenticate')).to.contain('scope="orders:write"')
        })

        for (const path of spellings('orders', '7')) {
          it(`holds the scope of POST /orders at ${path} too`, async () => {
            expect(await postStatus(running.places.port, path, CANARY)).to.be.oneOf([400, 403])
          })
        }

        for (const path of neighbours('orders')) {
          it(`asks for no scope at ${path}, which is not below /orders`, async () => {
            expect(await postStatus(running.places.port, path, CANARY)).to.equal(200)
          })
        }

        it('serves files of /public/ without a token', async () => {
          for (const path of ['/public/logo', '/public/v1.2/a_b-c~d.css?v=1', '/public/'])
            expect((await ask([], path)).status).to.equal(200)
        })

        for (const path of [
          '/public/..',
          '/public/../orders',
          '/public/%2e%2e/orders',
          '/public/..;/orders',
          '/public/%2e%2e;/orders',
          '/public/x;/..;/..;/orders',
          '/public/%252e%252e/orders',
          '/public/..%2forders',
          '/public/..%5corders',
          '/public/..\\orders',
          '/publicity',
        ]) {
          it(`wants a token at ${path}`, async () => {
            expect((await ask([], path)).status).to.be.oneOf([400, 401])
          })
        }
      }

      if (file === 'rate-limit.yaml') {
        it('limits a client by the client_id of its token, and no other client', async () => {
          // Within a minute's limit, and what the tests before took of it.
          const first = await Promise.all(Array.from({ length: 80 }, () => ask(bearer(CANARY))))
          expect(new Set(first.map(({ status }) => status))).to.deep.equal(new Set([200]))
          // More than a minute holds, even where the bucket fills while a slow machine asks.
          const rest = await Promise.all(Array.from({ length: 120 }, () => ask(bearer(CANARY))))
          expect(new Set(rest.map(({ status }) => status))).to.deep.equal(new Set([200, 429]))
          const limited = rest.find(({ status }) => status === 429)
          expect(limited?.headers['x-ratelimit-remaining']).to.match(/^0/)
          expect(limited?.body).to.not.contain('fault')
          expect((await ask(bearer('other'))).status).to.equal(200)
          // What the sidecar denies is a deny, and takes nothing from anybody.
          expect((await ask(bearer('bad'))).status).to.equal(401)
        })
      }

      if (file === 'mutual-tls.yaml') {
        it('the sidecar refuses a client without a certificate', async () => {
          const { certificates, sidecarPort } = running.places
          const ca = readFileSync(certificates?.caFile ?? '')
          const withCertificate = {
            cert: readFileSync(certificates?.clientCertFile ?? ''),
            key: readFileSync(certificates?.clientKeyFile ?? ''),
          }
          expect(await handshake(sidecarPort, { ca })).to.match(/certificate required|handshake failure|closed/i)
          expect(await handshake(sidecarPort, { ca, ...withCertificate })).to.equal('open')
        })

        it('a sidecar that drains is out before its listener closes', async () => {
          const first = running.instances[0]?.current()
          first?.signal('SIGTERM')
          await eventually(
            'one host healthy',
            async () => ((await running.stat('cluster.authz.membership_healthy')) === 1 ? true : undefined),
            // extAuthz.drainDelay is 5 s: until then the sidecar itself still answers.
            4500,
          )
          expect((await ask(bearer(CANARY))).status).to.equal(200)
          expect(await first?.exited).to.equal(0)
          expect((await ask(bearer(CANARY))).status).to.equal(200)
        })
      }
    })
  }
}

interface AccessLine {
  readonly request_id: string
  readonly decision_id: string
}

function accessLog(running: Deployed): AccessLine[] {
  return readFileSync(running.places.accessLog, 'utf8')
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line) => JSON.parse(line))
}

interface Filter {
  readonly grpc_service: { readonly timeout: string; readonly retry_policy: object }
  readonly allowed_headers: { readonly patterns: readonly { readonly exact: string }[] }
  readonly failure_mode_allow?: boolean
}

interface Manager {
  readonly typed_config: { readonly http_filters: readonly { readonly typed_config: Filter }[] }
}

interface Listener {
  readonly listener: { readonly filter_chains: readonly { readonly filters: readonly Manager[] }[] }
}

/** The ext_authz filter as Envoy understood it. */
async function filterOf(running: Deployed): Promise<Filter> {
  const answer = await fetch(`${running.envoy.admin}/config_dump`)
  const { configs } = (await answer.json()) as { configs: readonly { static_listeners?: readonly Listener[] }[] }
  const [listener] = configs.flatMap((config) => config.static_listeners ?? [])
  const filter = listener?.listener.filter_chains[0]?.filters[0]?.typed_config.http_filters[0]?.typed_config
  if (filter === undefined) throw new Error('no ext_authz filter')
  return filter
}

async function post(port: number, path: string, token: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', headers: { authorization: `Bearer ${token}` } })
}

/** `open`, or why it was not: with TLS 1.3 a refused client certificate shows after the client's side of the handshake. */
function handshake(port: number, tls: object): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', servername: SERVER_NAME, ALPNProtocols: ['h2'], ...tls })
    const end = (what: string): void => {
      socket.destroy()
      resolve(what)
    }
    // The server's HTTP/2 settings are its first bytes.
    socket.once('data', () => end('open'))
    socket.once('error', (error) => end(error.message))
    socket.once('close', () => end('closed'))
  })
}
