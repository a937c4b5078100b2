/** A real Envoy in front of the real app, an upstream that echoes what it got behind it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { after, afterEach, before, describe, it } from 'mocha'
import { freePort, frontConfig, type RunningEnvoy, startEnvoy } from '../../scripts/envoy.ts'
import { basicConfig, startTestApp, type TestApp } from '../support/app.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'
import {
  envoyOrSkip,
  grpcStatus,
  send,
  startUpstream,
  stopUpstream,
  type Upstream,
  VERSIONS,
  valuesOf,
  withHealthCheck,
} from './traffic.ts'

const MANAGED = ['x-auth-subject', 'x-auth-username', 'x-auth-client-id', 'x-auth-scope']
const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds

for (const version of VERSIONS) {
  for (const rawHeaders of [false, true]) {
    describe(`Envoy ${version}, ${rawHeaders ? 'raw headers over a Unix socket' : 'header map over TCP'}`, function () {
      this.timeout(180_000)
      let keyManager: ScriptedKeyManager
      let running: TestApp
      let envoy: RunningEnvoy
      let upstream: Upstream
      let port: number
      let dir: string

      before(async function () {
        const binary = envoyOrSkip(version, this)
        dir = mkdtempSync(join(tmpdir(), 'micro-gw-front-'))
        keyManager = await startKeyManager()
        upstream = await startUpstream()
        const rules = `
[[policy.rules]]
name = "open"
paths = ["/open/*"]
anonymous = true
[[policy.rules]]
name = "admin"
paths = ["/admin/*"]
requiredScopes = ["admin"]
`
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
        envoy = await startEnvoy({ binary, config: withHealthCheck(config) })
        keyManager.tokens.set('good', {
          active: true,
          sub: 'alice',
          client_id: 'shop',
          scope: 'a b',
          exp: inSeconds(300),
        })
      })

      afterEach(() => keyManager?.answer(undefined))

      after(async () => {
        await envoy?.stop()
        await running?.close()
        await keyManager?.close()
        await stopUpstream(upstream)
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
        const spoofed = MANAGED.flatMap((name) => [
          name,
          'evil',
          name,
          'evil2',
          name.replaceAll('-', '_'),
          'evil',
          name.replace('-', '_'),
          'evil',
        ])
        for (const headers of [['authorization', 'Bearer good'], []]) {
          const answer = await send(port, [...spoofed, ...headers], '/open/x')
          expect(answer.status).to.equal(200)
          expect(answer.body).to.not.contain('evil')
          expect(valuesOf(answer, 'x-auth-subject')).to.deep.equal(headers.length > 0 ? ['alice'] : [])
        }
      })

      it('removes credentials of another scheme from an anonymous request', async () => {
        const answer = await send(port, ['authorization', 'Basic YTpi'], '/open/x')
        expect(answer.status).to.equal(200)
        expect(valuesOf(answer, 'authorization')).to.deep.equal([])
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

      it('denies a token short of scopes with 403, naming the scope', async () => {
        const answer = await send(port, ['authorization', 'Bearer good'], '/admin/x')
        expect(answer.status).to.equal(403)
        expect(JSON.parse(answer.body).fault.code).to.equal(900910)
        expect(answer.headers['www-authenticate']).to.contain('error="insufficient_scope", scope="admin"')
      })

      it('answers 503 with Retry-After while the key manager fails', async () => {
        keyManager.answer({ status: 500 })
        const answer = await send(port, ['authorization', 'Bearer fails'])
        expect(answer.status).to.equal(503)
        expect(answer.headers['retry-after']).to.equal('1')
        expect(answer.headers['www-authenticate']).to.equal(undefined)
      })

      it("F01 answers a slow key manager's Checks inside Envoy's 200 ms, never allows, and remembers the late answer", async function () {
        // Real time on a shared machine: one stall of 20 ms turns our 503 into Envoy's own.
        this.retries(2)
        const attempt = Math.random().toString(36).slice(2)
        let ours = 0
        for (let batch = 0; batch < 10; batch++) {
          const late = Promise.withResolvers<object>()
          keyManager.answer(() => late.promise)
          const tokens = Array.from({ length: 10 }, (_, i) => `slow-${attempt}-${batch}-${i}`)
          const answers = await Promise.all(tokens.map((token) => send(port, ['authorization', `Bearer ${token}`])))
          expect(answers.map((answer) => answer.status)).to.deep.equal(tokens.map(() => 503))
          ours += answers.filter((answer) => answer.headers['x-authz-decision-id'] !== undefined).length

          late.resolve({ body: { active: true, sub: 'late', exp: inSeconds(300) } })
          const [first = ''] = tokens
          expect((await send(port, ['authorization', `Bearer ${first}`])).status).to.equal(200)
          expect(keyManager.requests.filter(({ form }) => form.get('token') === first)).to.have.length(1)
        }
        expect(ours).to.be.at.least(95)
      })

      it('2.6 a gRPC client sees 16 for a bad token, 7 for a short scope, 14 while the key manager fails', async () => {
        expect(await grpcStatus(port, {})).to.equal('16')
        expect(await grpcStatus(port, { authorization: 'Bearer bad' })).to.equal('16')
        expect(await grpcStatus(port, { authorization: 'Bearer good' }, '/admin/Get')).to.equal('7')
        keyManager.answer({ status: 500 })
        expect(await grpcStatus(port, { authorization: 'Bearer fails-again' })).to.equal('14')
      })

      it("E16 passes Envoy's gRPC health check", async () => {
        const stats = await fetch(`${envoy.admin}/stats?filter=^cluster.authz.health_check`)
        const figure = (text: string, name: string): number => Number(new RegExp(`${name}: (\\d+)`).exec(text)?.[1])
        const text = await stats.text()
        expect(figure(text, 'health_check.success')).to.be.at.least(1)
        expect(figure(text, 'health_check.failure')).to.equal(0)
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
        expect(lines.some((line) => line.cache === 'hit' && line.sub === 'alice')).to.equal(true)
        const ids = lines.map((line) => line.decision_id).filter((id) => id !== null)
        expect(ids.every((id) => /^[0-9a-f]{8}-\d{12}$/.test(id))).to.equal(true)
        expect(new Set(ids).size).to.equal(ids.length)
      })
    })
  }
}
