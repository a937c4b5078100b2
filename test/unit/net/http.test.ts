import { registerHooks } from 'node:module'
import { type AddressInfo, createServer, type LookupFunction } from 'node:net'
import type { TlsOptions as ServerTls } from 'node:tls'
import { inspect } from 'node:util'
import { expect } from 'chai'
import { after, afterEach, before, beforeEach, describe, it } from 'mocha'
import { systemClock } from '../../../src/clock.ts'
import { createPostClient, fetchText, type HttpResult, type PostClientOptions } from '../../../src/net/http.ts'
import { readTlsOptions } from '../../../src/net/tls.ts'
import { type Certificates, makeCertificates } from '../../support/certificates.ts'
import { createFakeClock } from '../../support/clock.ts'
import { type ScriptedKeyManager, startKeyManager } from '../../support/key-manager.ts'
import { plainTls } from '../keymanager/support.ts'

async function post(url: string, changes: Partial<PostClientOptions> = {}): Promise<HttpResult> {
  const client = createPostClient({
    url,
    connections: 4,
    timeoutMs: 2_000,
    connectTimeoutMs: 1_000,
    maxAnswerSize: 1_000,
    tls: readTlsOptions(plainTls),
    proxy: undefined,
    clock: systemClock,
    ...changes,
  })
  const result = await client.post({ authorization: 'Basic canary' }, 'token=canary')
  await client.close()
  return result
}

const toLoopback: LookupFunction = (_host, options, done) => {
  if (options.all === true) done(null, [{ address: '127.0.0.1', family: 4 }])
  else done(null, '127.0.0.1', 4)
}

const summary = (result: HttpResult): string => (result.ok ? `status ${result.status}` : result.kind)

describe('post client over TLS', () => {
  let good: Certificates
  before(() => {
    good = makeCertificates()
  })
  after(() => good.remove())

  const against = async (
    certificates: Certificates,
    changes: Partial<typeof plainTls>,
    host = '127.0.0.1',
  ): Promise<{ result: HttpResult; requests: number }> => {
    const server = await startKeyManager({ tls: certificates.server })
    const url = server.url.replace('127.0.0.1', host)
    const result = await post(url, { tls: readTlsOptions({ ...plainTls, ...changes }) })
    await server.close()
    return { result, requests: server.requests.length }
  }

  it('C08 talks to a server whose authority is configured, by address and by name', async () => {
    for (const host of ['127.0.0.1', 'localhost']) {
      const { result } = await against(good, { caFile: good.caFile }, host)
      expect(summary(result)).to.equal('status 200')
    }
  })
  it('F11 refuses an unknown authority and sends nothing', async () => {
    const { result, requests } = await against(good, {})
    expect(result).to.include({ ok: false, kind: 'tls' })
    expect(!result.ok && result.detail).to.contain('unknown authority')
    expect(requests).to.equal(0)
  })
  it('F11 refuses an expired certificate and sends nothing', async () => {
    const expired = makeCertificates({ expired: true })
    const { result, requests } = await against(expired, { caFile: expired.caFile })
    expired.remove()
    expect(!result.ok && result.detail).to.contain('CERT_HAS_EXPIRED')
    expect(requests).to.equal(0)
  })
  it('F11 refuses another host name and sends nothing, unless serverName says so', async () => {
    const other = makeCertificates({ serverNames: 'DNS:keymanager.example' })
    const wrong = await against(other, { caFile: other.caFile }, 'localhost')
    const named = await against(other, { caFile: other.caFile, serverName: 'keymanager.example' }, 'localhost')
    other.remove()
    expect(!wrong.result.ok && wrong.result.detail).to.contain('another host name')
    expect(wrong.requests).to.equal(0)
    expect(summary(named.result)).to.equal('status 200')
  })
  it('sends a name that ends in a dot without it, as RFC 6066 section 3 wants', async () => {
    const names: string[] = []
    const SNICallback: ServerTls['SNICallback'] = (name, done) => {
      names.push(name)
      done(null)
    }
    const named = makeCertificates({ serverNames: 'DNS:keymanager.test' })
    const server = await startKeyManager({ tls: { ...named.server, SNICallback } })
    const tls = readTlsOptions({ ...plainTls, caFile: named.caFile })
    const result = await post(server.url.replace('127.0.0.1', 'keymanager.test.'), { tls, lookup: toLoopback })
    await server.close()
    named.remove()
    expect(summary(result)).to.equal('status 200')
    expect(names).to.deep.equal(['keymanager.test'])
  })
  it('takes any certificate with insecure only', async () => {
    expect(summary((await against(good, { insecure: true })).result)).to.equal('status 200')
  })
  it('shows its own certificate', async () => {
    const server = await startKeyManager({ tls: { ...good.server, requestCert: true, rejectUnauthorized: true } })
    const own = { certFile: good.clientCertFile, keyFile: good.clientKeyFile }
    const withIt = await post(server.url, { tls: readTlsOptions({ ...plainTls, caFile: good.caFile, ...own }) })
    const without = await post(server.url, { tls: readTlsOptions({ ...plainTls, caFile: good.caFile }) })
    await server.close()
    expect(summary(withIt)).to.equal('status 200')
    expect(without.ok).to.equal(false)
  })
  it('names the key of a file that cannot be read', () => {
    expect(() => readTlsOptions({ ...plainTls, caFile: '/nonexistent' })).to.throw(
      'keyManager.tls.caFile cannot be read',
    )
  })
})

describe('post client', () => {
  let keyManager: ScriptedKeyManager
  beforeEach(async () => {
    keyManager = await startKeyManager()
  })
  afterEach(() => keyManager.close())

  it('is closed in time where the last calls run out of time', async () => {
    const clock = createFakeClock()
    const client = createPostClient({
      url: keyManager.url,
      connections: 1,
      timeoutMs: 2_000,
      connectTimeoutMs: 1_000,
      maxAnswerSize: 1_000,
      tls: readTlsOptions(plainTls),
      proxy: undefined,
      clock,
    })
    await client.post({}, 'token=x')
    const calls = Array.from({ length: 3 }, () => client.post({}, 'token=x'))
    const closed = client.close()
    clock.advance(2_000)
    for (const result of await Promise.all(calls)) expect(result).to.include({ ok: false, kind: 'timeout' })
    await closed
  })

  it('F12 resolves again once a connection is old', async () => {
    let lookups = 0
    const lookup: LookupFunction = (host, options, done) => {
      lookups += 1
      toLoopback(host, options, done)
    }
    const client = createPostClient({
      url: keyManager.url.replace('127.0.0.1', 'keymanager.test'),
      connections: 1,
      timeoutMs: 2_000,
      connectTimeoutMs: 1_000,
      maxAnswerSize: 1_000,
      tls: readTlsOptions(plainTls),
      proxy: undefined,
      clock: systemClock,
      lookup,
      connectionAgeMs: 30,
    })
    const startedAt = performance.now()
    while (keyManager.connections < 3 && performance.now() - startedAt < 5_000) await client.post({}, '')
    await client.close()
    expect(keyManager.connections).to.equal(3)
    expect(lookups).to.equal(3)
  })

  it('a name that does not resolve is a network error', async () => {
    const lookup: LookupFunction = (_host, _options, done) =>
      done(Object.assign(new Error('canary'), { code: 'ENOTFOUND' }), '', 4)
    const result = await post('http://keymanager.test/', { lookup })
    expect(result).to.include({ ok: false, kind: 'network' })
    expect(inspect(result, { depth: 9 })).not.to.contain('canary')
  })

  it('gives up connecting after connectTimeout', async () => {
    const lookup: LookupFunction = () => undefined
    const result = await post('http://keymanager.test/', { lookup, connectTimeoutMs: 30 })
    expect(result).to.deep.equal({ ok: false, kind: 'timeout', detail: 'no connection within 30 ms' })
  })

  for (const [what, bytes, detail] of [
    ['an answer that is not HTTP', 'SSH-2.0-OpenSSH_9.6\r\n', 'the answer is not HTTP/1.1'],
    [
      'a 100 Continue nobody asked for',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n',
      'an answer 100 Continue that was not asked for (UND_ERR_SOCKET)',
    ],
  ] as const) {
    it(`names ${what}`, async () => {
      const server = createServer((socket) => {
        socket.on('error', () => undefined).once('data', () => socket.end(bytes))
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const result = await post(`http://127.0.0.1:${(server.address() as AddressInfo).port}/introspect`)
      server.close()
      expect(result).to.deep.equal({ ok: false, kind: 'network', detail })
    })
  }

  it('names what cannot be sent', async () => {
    const client = createPostClient({
      url: keyManager.url,
      connections: 1,
      timeoutMs: 2_000,
      connectTimeoutMs: 1_000,
      maxAnswerSize: 1_000,
      tls: readTlsOptions(plainTls),
      proxy: undefined,
      clock: systemClock,
    })
    const result = await client.post({ authorization: 'Bearer a\nb' }, '')
    await client.close()
    expect(result).to.deep.equal({ ok: false, kind: 'network', detail: 'the call failed (UND_ERR_INVALID_ARG)' })
  })
})

describe('rare calls', () => {
  let keyManager: ScriptedKeyManager
  beforeEach(async () => {
    keyManager = await startKeyManager()
  })
  afterEach(() => keyManager.close())
  const limits = { timeoutMs: 2_000, maxBytes: 1_000 }

  it('returns any status as an answer and follows no redirect', async () => {
    keyManager.answer({ status: 302, headers: { location: '/elsewhere' }, body: 'x' })
    expect(await fetchText(keyManager.url, limits)).to.include({ ok: true, status: 302, text: 'x' })
    expect(keyManager.requests).to.have.length(1)
  })
  it('posts a body', async () => {
    await fetchText(keyManager.url, { ...limits, method: 'POST', body: 'a=b' })
    expect(keyManager.requests[0]).to.include({ method: 'POST', body: 'a=b' })
  })
  it('cuts a body that is too long', async () => {
    keyManager.answer({ body: 'x'.repeat(2_000) })
    expect(await fetchText(keyManager.url, limits)).to.include({ ok: false, kind: 'too_large' })
  })
  it('cuts a call that takes too long', async () => {
    keyManager.answer(() => undefined)
    expect(await fetchText(keyManager.url, { ...limits, timeoutMs: 40 })).to.include({ ok: false, kind: 'timeout' })
  })
  it('F32 an error holds neither the body nor a header', async () => {
    await keyManager.close()
    const options = { ...limits, method: 'POST', body: 'token=canary', headers: { authorization: 'canary' } } as const
    const result = await fetchText(keyManager.url, options)
    expect(result).to.include({ ok: false, kind: 'network' })
    expect(inspect(result, { depth: 9 })).not.to.contain('canary')
  })
  it('code that cannot be loaded is a failure, not an exception, and the next call loads it', async () => {
    const hooks = registerHooks({
      resolve(specifier, context, next) {
        if (specifier === 'got') throw Object.assign(new Error('too many open files'), { code: 'EMFILE' })
        return next(specifier, context)
      },
    })
    try {
      const result = await fetchText(keyManager.url, limits)
      expect(result).to.deep.equal({ ok: false, kind: 'network', detail: 'the call failed (EMFILE)' })
    } finally {
      hooks.deregister()
    }
    expect(await fetchText(keyManager.url, limits)).to.include({ ok: true, status: 200 })
  })
  it('a URL that is none is a failure, not an exception', async () => {
    expect(await fetchText('no url', limits)).to.include({ ok: false })
  })
})
