/** What a real Envoy hands on of a trace: in the metadata of its ext_authz call, or only in the request's headers. */
import { expect } from 'chai'
import { after, before, describe, it } from 'mocha'
import { freePort, frontConfig, type RunningEnvoy, startEnvoy } from '../../scripts/envoy.ts'
import { basicConfig, startTestApp, type TestApp } from '../support/app.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'
import { envoyOrSkip, send, startUpstream, stopUpstream, type Upstream, VERSIONS, valuesOf } from './traffic.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const CLIENTS = `00-${TRACE}-00f067aa0ba902b7-01`

/** Envoy's OpenTelemetry tracer; its collector need not exist. */
function withTracer(config: object, collectorPort: number): object {
  const copy = JSON.parse(JSON.stringify(config))
  const [resources] = [copy.static_resources]
  const socket = { socket_address: { address: '127.0.0.1', port_value: collectorPort } }
  resources.clusters.push({
    name: 'collector',
    type: 'STATIC',
    load_assignment: { cluster_name: 'collector', endpoints: [{ lb_endpoints: [{ endpoint: { address: socket } }] }] },
  })
  const tracer = {
    '@type': 'type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig',
    service_name: 'front',
    http_service: { http_uri: { uri: 'http://collector/v1/traces', cluster: 'collector', timeout: '1s' } },
  }
  const [{ typed_config: manager }] = resources.listeners[0].filter_chains[0].filters
  manager.tracing = { provider: { name: 'envoy.tracers.opentelemetry', typed_config: tracer } }
  return copy
}

for (const version of VERSIONS) {
  describe(`Envoy ${version} and traces`, function () {
    this.timeout(180_000)
    let keyManager: ScriptedKeyManager
    let sidecar: TestApp
    let upstream: Upstream
    const envoys: RunningEnvoy[] = []
    let traced: number
    let untraced: number

    before(async function () {
      const binary = envoyOrSkip(version, this)
      keyManager = await startKeyManager()
      keyManager.answer({ body: { active: true } })
      upstream = await startUpstream()
      sidecar = await startTestApp(basicConfig(keyManager.url), { flags: { 'keyManager.startupProbe': 'false' } })
      const start = async (change: (config: object) => object): Promise<number> => {
        const listenPort = await freePort()
        const sidecarAddress = sidecar.app.addresses.extAuthz[0] ?? ''
        const config = frontConfig({ listenPort, sidecar: sidecarAddress, upstreamPort: upstream.port })
        envoys.push(await startEnvoy({ binary, config: change(config) }))
        return listenPort
      }
      const collectorPort = await freePort()
      traced = await start((config) => withTracer(config, collectorPort))
      untraced = await start((config) => config)
    })

    after(async () => {
      for (const envoy of envoys) await envoy.stop()
      await sidecar?.close()
      await stopUpstream(upstream)
      await keyManager?.close()
    })

    /** What the key manager and the upstream got for one request. */
    async function traceOf(port: number, token: string, headers: readonly string[]) {
      const answer = await send(port, ['authorization', `Bearer ${token}`, ...headers])
      expect(answer.status).to.equal(200)
      const call = keyManager.requests.find(({ form }) => form.get('token') === token)
      const [traceparent, tracestate] = [call?.headers['traceparent'], call?.headers['tracestate']]
      return { traceparent, tracestate, upstream: valuesOf(answer, 'traceparent')[0] }
    }

    it('with a tracer, the call to the key manager is below the span of the ext_authz call', async () => {
      const sent = await traceOf(traced, 'one', ['traceparent', CLIENTS, 'tracestate', 'rojo=1'])
      expect(sent.traceparent).to.match(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`))
      // Neither the client's span nor the one of the upstream call: a span of its own.
      expect([CLIENTS, sent.upstream]).to.not.include(sent.traceparent)
      expect(sent.tracestate).to.equal('rojo=1')
    })

    it('with a tracer, it is part of the trace Envoy begins', async () => {
      const sent = await traceOf(traced, 'two', [])
      expect(sent.traceparent).to.match(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
      expect(sent.traceparent?.slice(0, 35)).to.equal(sent.upstream?.slice(0, 35))
    })

    it("without one, the client's context goes on as it came", async () => {
      const sent = await traceOf(untraced, 'three', ['traceparent', CLIENTS, 'tracestate', 'rojo=1'])
      expect(sent).to.include({ traceparent: CLIENTS, tracestate: 'rojo=1' })
      const none = await traceOf(untraced, 'four', [])
      expect(none.traceparent).to.equal(undefined)
    })

    it('without one, two contexts or a malformed one go no further', async () => {
      const two = await traceOf(untraced, 'five', ['traceparent', CLIENTS, 'traceparent', CLIENTS])
      const odd = await traceOf(untraced, 'six', ['traceparent', `${CLIENTS}garbage`])
      expect([two.traceparent, odd.traceparent]).to.deep.equal([undefined, undefined])
    })
  })
}
