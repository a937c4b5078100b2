import { EventEmitter, once } from 'node:events'
/** deploy/opentelemetry/otel.mjs as it is, loaded by NODE_OPTIONS into the real CLI; its spans arrive at a collector. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { type OwnProcess, startOwnProcess } from '../faults/own-process.ts'
import { basicConfig } from '../support/app.ts'
import { type CheckClient, connectChecks, httpCheck } from '../support/check-client.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'

const EXAMPLE = new URL('../../deploy/opentelemetry/otel.mjs', import.meta.url)
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const ENVOYS_SPAN = '00f067aa0ba902b7'
const TOKEN = 'canary-token'
const SECRETS = [TOKEN, 'canary-subject', 'canary-client', 'canary-query', 'canary-path', 'gateway-secret']

interface Span {
  readonly name: string
  readonly kind: number
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly traceState: string | undefined
  readonly failed: boolean
  readonly attributes: Readonly<Record<string, unknown>>
}

/** Takes OTLP over HTTP as JSON. */
interface Collector {
  readonly url: string
  readonly spans: readonly Span[]
  /** Resolves with all of them once there are that many. */
  until(count: number): Promise<readonly Span[]>
  /** Everything received, as text. */
  received(): string
  close(): Promise<void>
}

interface Otlp {
  resourceSpans: {
    scopeSpans: {
      spans: (Omit<Span, 'attributes' | 'failed'> & {
        status?: { code?: number }
        attributes: { key: string; value: Record<string, unknown> }[]
      })[]
    }[]
  }[]
}

async function startCollector(): Promise<Collector> {
  const spans: Span[] = []
  let received = ''
  const arrived = new EventEmitter()
  const server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString('utf8')
    received += text
    const { resourceSpans } = JSON.parse(text) as Otlp
    for (const one of resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)))
      spans.push({
        ...one,
        failed: one.status?.code === 2,
        attributes: Object.fromEntries(one.attributes.map(({ key, value }) => [key, Object.values(value)[0]])),
      })
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    arrived.emit('spans')
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    async until(count) {
      while (spans.length < count) await once(arrived, 'spans')
      return spans
    },
    received: () => received,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

describe('spans, with an OpenTelemetry SDK loaded by the user', () => {
  let collector: Collector
  let keyManager: ScriptedKeyManager
  let sidecar: OwnProcess
  let client: CheckClient

  beforeEach(async () => {
    collector = await startCollector()
    keyManager = await startKeyManager()
    keyManager.tokens.set(TOKEN, { active: true, sub: 'canary-subject', client_id: 'canary-client' })
    await start()
  })

  async function start(flags: Readonly<Record<string, string>> = {}): Promise<void> {
    sidecar = await startOwnProcess(basicConfig(`${keyManager.url}?secret=canary-query`), flags, {
      NODE_OPTIONS: `--import ${fileURLToPath(EXAMPLE)}`,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    })
    client = connectChecks(sidecar.address)
  }

  afterEach(async () => {
    client.close()
    await sidecar.close()
    await keyManager.close()
    await collector.close()
  })

  const check = (token: string, metadata: Record<string, string> = {}) => {
    const headers = { authorization: `Bearer ${token}` }
    return client.check(httpCheck({ path: '/canary-path?q=canary-query', headers }), { metadata })
  }

  it("makes the Check a child of Envoy's span, and the call to the key manager a child of the Check", async () => {
    await check(TOKEN, { traceparent: `00-${TRACE}-${ENVOYS_SPAN}-01`, tracestate: 'rojo=1' })
    const spans = await collector.until(2)
    const server = spans.find(({ kind }) => kind === 2)
    const call = spans.find(({ kind }) => kind === 3)

    expect(server).to.include({
      name: 'envoy.service.auth.v3.Authorization/Check',
      traceId: TRACE,
      parentSpanId: ENVOYS_SPAN,
      traceState: 'rojo=1',
      failed: false,
    })
    expect(server?.attributes).to.include({
      'rpc.system.name': 'grpc',
      'rpc.method': 'envoy.service.auth.v3.Authorization/Check',
      'rpc.response.status_code': 'OK',
      'microgw.decision': 'allow',
      'microgw.reason': 'allowed',
      'microgw.cache': 'miss',
    })
    expect(server?.attributes['microgw.decision_id']).to.match(/^[0-9a-f]{8}-\d{12}$/)

    expect(call).to.include({ name: 'POST', traceId: TRACE, parentSpanId: server?.spanId, failed: false })
    expect(call?.attributes).to.deep.equal({
      'http.request.method': 'POST',
      'server.address': '127.0.0.1',
      'server.port': keyManager.port,
      'url.full': keyManager.url,
      'http.response.status_code': 200,
    })

    const [sent] = keyManager.requests
    expect(sent?.headers['traceparent']).to.equal(`00-${TRACE}-${call?.spanId}-01`)
    expect(sent?.headers['tracestate']).to.equal('rojo=1')
  })

  it('begins a trace where none came; a hit has no call below it', async () => {
    await check(TOKEN)
    await check(TOKEN)
    const spans = await collector.until(3)
    const servers = spans.filter(({ kind }) => kind === 2)
    expect(servers.map(({ attributes }) => attributes['microgw.cache'])).to.deep.equal(['miss', 'hit'])
    expect(servers.every(({ parentSpanId }) => !parentSpanId)).to.equal(true)
    expect(spans.filter(({ kind }) => kind === 3).map(({ parentSpanId }) => parentSpanId)).to.deep.equal([
      servers[0]?.spanId,
    ])
  })

  it('leaves an unsampled trace unsampled, and hands its context on', async () => {
    await check('unsampled', { traceparent: `00-${TRACE}-${ENVOYS_SPAN}-00` })
    await check(TOKEN)
    const spans = await collector.until(2)
    expect(spans.map(({ traceId }) => traceId)).to.not.include(TRACE)
    expect(keyManager.requests[0]?.headers['traceparent']).to.match(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`))
  })

  it('marks what failed: the call by its status, the Check by its reason; an ordinary deny is no failure', async () => {
    await check('unknown')
    keyManager.answer({ status: 502 })
    await check(TOKEN)
    const spans = await collector.until(4)
    const seen = spans
      .toSorted((a, b) => a.kind - b.kind)
      .map(({ kind, failed, attributes }) => [kind, failed, attributes['error.type'], attributes['microgw.reason']])
    expect(seen).to.deep.equal([
      [2, false, undefined, 'inactive_token'],
      [2, true, 'key_manager_unavailable', 'key_manager_unavailable'],
      [3, false, undefined, undefined],
      [3, true, '502', undefined],
    ])
  })

  it('has them from each of several workers', async () => {
    client.close()
    await sidecar.close()
    await start({ 'extAuthz.workers': '2' })
    await check(TOKEN, { traceparent: `00-${TRACE}-${ENVOYS_SPAN}-01` })
    const spans = await collector.until(2)
    expect(spans.map(({ kind, traceId }) => [kind, traceId]).toSorted()).to.deep.equal([
      [2, TRACE],
      [3, TRACE],
    ])
  })

  it('puts no token, subject, client id, path, query or secret into a span', async () => {
    await check(TOKEN, { traceparent: `00-${TRACE}-${ENVOYS_SPAN}-01` })
    keyManager.answer({ status: 401, body: TOKEN })
    await check(`${TOKEN}-other`)
    await collector.until(4)
    expect(collector.received()).to.contain('microgw.reason')
    for (const secret of SECRETS) expect(collector.received(), secret).to.not.contain(secret)
  })
})
