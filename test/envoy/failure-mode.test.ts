/** Envoy told to let requests through where the sidecar fails: our denies are no failures, and a failure we announce is one. */
import { expect } from 'chai'
import { after, before, describe, it } from 'mocha'
import { freePort, frontConfig, type RunningEnvoy, startEnvoy } from '../../scripts/envoy.ts'
import { basicConfig, startTestApp, type TestApp } from '../support/app.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'
import { envoyOrSkip, send, startUpstream, stopUpstream, type Upstream, VERSIONS, valuesOf } from './traffic.ts'

/** error_response came with 1.37; an older Envoy does not know the field and denies with 403. */
const knowsErrorResponse = (version: string): boolean => Number(version.split('.')[1]) >= 37

for (const version of VERSIONS) {
  for (const unavailable of ['deny', 'error'] as const) {
    describe(`Envoy ${version} with failure_mode_allow, unavailable = "${unavailable}"`, function () {
      this.timeout(180_000)
      let keyManager: ScriptedKeyManager
      let running: TestApp
      let envoy: RunningEnvoy
      let upstream: Upstream
      let port: number

      before(async function () {
        const binary = envoyOrSkip(version, this)
        keyManager = await startKeyManager()
        keyManager.answer({ status: 500 })
        upstream = await startUpstream()
        running = await startTestApp(basicConfig(keyManager.url), {
          flags: {
            'keyManager.startupProbe': 'false',
            'extAuthz.unavailable': unavailable,
          },
        })
        port = await freePort()
        const config = frontConfig({
          listenPort: port,
          sidecar: running.app.addresses.extAuthz[0] ?? '',
          upstreamPort: upstream.port,
          filter: { failure_mode_allow: true, failure_mode_allow_header_add: true },
        })
        envoy = await startEnvoy({ binary, config })
      })

      after(async () => {
        await envoy?.stop()
        await running?.close()
        await keyManager?.close()
        await stopUpstream(upstream)
      })

      it('P01 denies a missing token all the same', async () => {
        expect((await send(port, [])).status).to.equal(401)
      })

      if (unavailable === 'deny') {
        it('E03 denies with our 503 while the key manager fails: never an allow', async () => {
          const answer = await send(port, ['authorization', 'Bearer unknown'])
          expect(answer.status).to.equal(503)
          expect(answer.headers['retry-after']).to.equal('1')
        })
      } else if (knowsErrorResponse(version)) {
        it('lets the request through while the key manager fails, with the headers of the client as they were', async () => {
          const answer = await send(port, ['authorization', 'Bearer unknown', 'x-auth-subject', 'evil'])
          expect(answer.status).to.equal(200)
          expect(valuesOf(answer, 'x-envoy-auth-failure-mode-allowed')).to.deep.equal(['true'])
          // Why docs and start-up log ask for `request_headers_to_remove`: the sidecar has no say here.
          expect(valuesOf(answer, 'x-auth-subject')).to.deep.equal(['evil'])
        })
      } else {
        it('denies with 403: this release does not know error_response', async () => {
          expect((await send(port, ['authorization', 'Bearer unknown'])).status).to.equal(403)
        })
      }
    })
  }
}
