/** Without an OpenTelemetry SDK: the W3C context of a Check goes on to the key manager, and nothing else happens. */
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { basicConfig, startTestApp, type TestApp } from '../support/app.ts'
import { type CheckClient, connectChecks, httpCheck } from '../support/check-client.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'

const IN_METADATA = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
const IN_REQUEST = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00'

describe('the trace context of a Check', () => {
  let keyManager: ScriptedKeyManager
  let sidecar: TestApp
  let client: CheckClient

  beforeEach(async () => {
    keyManager = await startKeyManager()
    keyManager.tokens.set('good', { active: true })
    sidecar = await startTestApp(basicConfig(keyManager.url), { flags: { 'keyManager.startupProbe': 'false' } })
    client = connectChecks(sidecar.app.addresses.extAuthz[0] ?? '')
  })
  afterEach(async () => {
    client.close()
    await sidecar.close()
    await keyManager.close()
  })

  /** The trace headers of the call to the key manager that a Check of `token` brings about. */
  async function sentFor(
    token: string,
    from: {
      readonly metadata?: Record<string, string | readonly string[]>
      readonly headers?: Record<string, string>
      readonly rawHeaders?: [string, Buffer][]
    },
  ): Promise<Record<string, string | undefined> | undefined> {
    const before = keyManager.requests.length
    const headers = { authorization: `Bearer ${token}`, ...from.headers }
    const request = httpCheck({ headers, ...(from.rawHeaders === undefined ? {} : { rawHeaders: from.rawHeaders }) })
    await client.check(request, { metadata: from.metadata ?? {} })
    const call = keyManager.requests[before]
    return call === undefined
      ? undefined
      : { traceparent: call.headers['traceparent'], tracestate: call.headers['tracestate'] }
  }

  const NONE = { traceparent: undefined, tracestate: undefined }

  it('goes on from gRPC metadata to the key manager', async () => {
    const sent = await sentFor('good', { metadata: { traceparent: IN_METADATA, tracestate: 'rojo=1,congo=2' } })
    expect(sent).to.deep.equal({ traceparent: IN_METADATA, tracestate: 'rojo=1,congo=2' })
  })

  it("goes on from the request's headers where there is none in metadata, raw headers too", async () => {
    const headers = { traceparent: IN_REQUEST, tracestate: 'rojo=1' }
    expect(await sentFor('good', { headers })).to.deep.equal(headers)
    const raw = await sentFor('other', { headers, rawHeaders: [] })
    expect(raw).to.deep.equal(headers)
  })

  it("prefers metadata, and mixes neither: Envoy's span is nearer than its client's", async () => {
    const headers = { traceparent: IN_REQUEST, tracestate: 'client=1' }
    const sent = await sentFor('good', { metadata: { traceparent: IN_METADATA }, headers })
    expect(sent).to.deep.equal({ traceparent: IN_METADATA, tracestate: undefined })
  })

  it("drops what is malformed, and takes the request's where metadata's was", async () => {
    expect(await sentFor('one', { metadata: { traceparent: 'garbage', tracestate: 'a=1' } })).to.deep.equal(NONE)
    expect(await sentFor('two', { metadata: { traceparent: [IN_METADATA, IN_REQUEST] } })).to.deep.equal(NONE)
    expect(await sentFor('three', { headers: { traceparent: `${IN_REQUEST}-x` } })).to.deep.equal(NONE)
    const rawHeaders: [string, Buffer][] = [['traceparent', Buffer.from(IN_METADATA)]]
    expect(await sentFor('four', { headers: { traceparent: IN_REQUEST }, rawHeaders })).to.deep.equal(NONE)
    const sent = await sentFor('five', { metadata: { traceparent: 'garbage' }, headers: { traceparent: IN_REQUEST } })
    expect(sent).to.deep.equal({ traceparent: IN_REQUEST, tracestate: undefined })
    const odd = await sentFor('six', { metadata: { traceparent: IN_METADATA, tracestate: 'A=1' } })
    expect(odd).to.deep.equal({ traceparent: IN_METADATA, tracestate: undefined })
  })

  it('sends none where there is none', async () => {
    expect(await sentFor('good', {})).to.deep.equal(NONE)
  })

  it('makes no call on a hit, whatever context comes with it', async () => {
    await sentFor('good', {})
    expect(await sentFor('good', { metadata: { traceparent: IN_METADATA } })).to.equal(undefined)
    expect(keyManager.requests).to.have.length(1)
  })

  it('is that of the Check that asked first, where several wait for one call', async () => {
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
    keyManager.answer(async () => {
      await answered
      return { body: { active: true } }
    })
    const check = (traceparent: string) =>
      client.check(httpCheck({ headers: { authorization: 'Bearer good' } }), { metadata: { traceparent } })
    const first = check(IN_METADATA)
    while (keyManager.requests.length === 0) await new Promise(setImmediate)
    const second = check(IN_REQUEST)
    while (!(await metric('microgw_introspection_waiters_total'))) await new Promise(setImmediate)
    answer()
    await Promise.all([first, second])
    expect(keyManager.requests.map(({ headers }) => headers['traceparent'])).to.deep.equal([IN_METADATA])
  })

  async function metric(name: string): Promise<number> {
    const text = await (await fetch(`http://${sidecar.app.addresses.admin}/metrics`)).text()
    return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
  }
})
