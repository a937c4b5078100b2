import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TlsOptions } from 'node:tls'
import { expect } from 'chai'
import { after, afterEach, before, beforeEach, describe, it } from 'mocha'
import { systemClock } from '../../../src/clock.ts'
import {
  createPostClient,
  fetchText,
  type HttpResult,
  type PostClient,
  type PostClientOptions,
} from '../../../src/net/http.ts'
import { readTlsOptions } from '../../../src/net/tls.ts'
import { type Certificates, makeCertificates } from '../../support/certificates.ts'
import { type ScriptedKeyManager, startKeyManager } from '../../support/key-manager.ts'
import { plainTls } from '../keymanager/support.ts'

/** Only the proxy resolves it. */
const HOST = 'keymanager.test'

interface Proxy {
  readonly url: string
  /** Targets of CONNECT and of forwarded calls. */
  readonly asked: string[]
  /** True: takes connections, answers nothing. `behind`: answers CONNECT, and nothing after it. */
  stalls: boolean | 'behind'
  /** Resolved once none of its connections is open. */
  idle(): Promise<void>
  close(): void
}

/** Forwards CONNECT to loopback, answers everything else itself. */
async function startProxy(): Promise<Proxy> {
  const asked: string[] = []
  const sockets = new Set<Duplex>()
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    response.end('{}')
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => {
      sockets.delete(socket)
      if (sockets.size === 0) server.emit('idle')
    })
  })
  server.on('connect', (request, socket) => {
    asked.push(request.url ?? '')
    if (proxy.stalls) {
      if (proxy.stalls === 'behind') socket.write('HTTP/1.1 200 OK\r\n\r\n')
      // What is read tells when the other side hangs up.
      socket.resume().once('end', () => socket.end())
      return
    }
    const upstream = connect(Number(request.url?.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.pipe(socket).pipe(upstream)
    })
    upstream.on('error', () => socket.destroy())
    socket.on('error', () => upstream.destroy())
    socket.once('close', () => upstream.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const proxy: Proxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    stalls: false,
    idle: () =>
      sockets.size === 0 ? Promise.resolve() : new Promise((resolve) => void server.once('idle', () => resolve())),
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
  return proxy
}

const clientOf = (url: string, changes: Partial<PostClientOptions>): PostClient =>
  createPostClient({
    url,
    connections: 2,
    timeoutMs: 2_000,
    connectTimeoutMs: 1_000,
    maxAnswerSize: 1_000,
    tls: readTlsOptions(plainTls),
    proxy: undefined,
    clock: systemClock,
    ...changes,
  })

/** What both stacks say of one call: the status, or the kind of failure. */
async function callTwice(url: string, changes: Partial<PostClientOptions>): Promise<(string | number)[]> {
  const client = clientOf(url, changes)
  const posted = await client.post({}, 'token=canary')
  await client.close()
  const limits = { timeoutMs: 2_000, maxBytes: 1_000 }
  const { tls = readTlsOptions(plainTls), proxy } = changes
  const fetched = await fetchText(url, { ...limits, method: 'POST', body: 'a=b', tls, proxy })
  return [posted, fetched].map((result) => (result.ok ? result.status : result.kind))
}

describe('a proxy', () => {
  let certificates: Certificates
  let server: ScriptedKeyManager
  let proxy: Proxy
  let url: string
  before(() => {
    certificates = makeCertificates({ serverNames: `DNS:${HOST},DNS:localhost,IP:127.0.0.1` })
  })
  after(() => certificates.remove())
  beforeEach(async () => {
    server = await startKeyManager({ tls: certificates.server })
    proxy = await startProxy()
    url = server.url.replace('127.0.0.1', HOST)
  })
  afterEach(async () => {
    proxy.close()
    await server.close()
  })
  const trusting = () => readTlsOptions({ ...plainTls, caFile: certificates.caFile })

  it('is asked to forward a plain call', async () => {
    const plain = url.replace('https:', 'http:')
    expect(await callTwice(plain, { proxy: proxy.url })).to.deep.equal([200, 200])
    expect(proxy.asked).to.deep.equal([plain, plain])
  })

  it('tunnels to a TLS server, whose certificate is checked', async () => {
    expect(await callTwice(url, { proxy: proxy.url, tls: trusting() })).to.deep.equal([200, 200])
    expect(await callTwice(url, { proxy: proxy.url })).to.deep.equal(['tls', 'tls'])
    expect(server.requests).to.have.length(2)
    expect(new Set(proxy.asked)).to.deep.equal(new Set([`${HOST}:${server.port}`]))
  })

  it('is asked for a name that ends in a dot, which the TLS server is told without it', async () => {
    await server.close()
    const names: string[] = []
    const SNICallback: TlsOptions['SNICallback'] = (name, done) => {
      names.push(name)
      done(null)
    }
    server = await startKeyManager({ tls: { ...certificates.server, SNICallback } })
    const dotted = server.url.replace('127.0.0.1', `${HOST}.`)
    expect(await callTwice(dotted, { proxy: proxy.url, tls: trusting() })).to.deep.equal([200, 200])
    expect(proxy.asked).to.deep.equal([`${HOST}.:${server.port}`, `${HOST}.:${server.port}`])
    expect(names).to.deep.equal([HOST, HOST])
  })

  it('elsewhere learns nothing of calls to loopback, where plain http is allowed because it does not leave the host', async () => {
    const plain = await startKeyManager()
    // No name of loopback, though it leads there.
    const elsewhere = proxy.url.replace('127.0.0.1', '0.0.0.0')
    expect(await callTwice(url, { proxy: elsewhere, tls: trusting() })).to.deep.equal([200, 200])
    expect(proxy.asked.splice(0)).to.have.length(2)
    server.requests.length = 0
    for (const host of ['127.0.0.1', 'localhost']) {
      const at = (each: string) => each.replace('127.0.0.1', host)
      expect(await callTwice(at(plain.url), { proxy: elsewhere })).to.deep.equal([200, 200])
      expect(await callTwice(at(server.url), { proxy: elsewhere, tls: trusting() })).to.deep.equal([200, 200])
    }
    expect(proxy.asked).to.deep.equal([])
    expect(plain.requests).to.have.length(4)
    expect(server.requests).to.have.length(4)
    expect(await callTwice(plain.url, { proxy: proxy.url })).to.deep.equal([200, 200])
    expect(proxy.asked, 'one on loopback').to.have.length(2)
    await plain.close()
  })

  it('that stalls on CONNECT holds the places of the pool for the connect timeout, not until the pool is old', async () => {
    proxy.stalls = true
    const client = clientOf(url, { proxy: proxy.url, tls: trusting(), timeoutMs: 200, connectTimeoutMs: 100 })
    const stalled = await Promise.all(Array.from({ length: 4 }, () => client.post({}, '')))
    for (const result of stalled) expect(result).to.include({ ok: false, kind: 'timeout' })
    proxy.stalls = false
    const mendedAt = performance.now()
    let works = false
    while (!works && performance.now() - mendedAt < 5_000) works = (await client.post({}, '')).ok
    await client.close()
    expect(works).to.equal(true)
  })

  for (const where of [true, 'behind'] as const)
    it(`that stalls ${where === true ? 'on CONNECT' : 'behind it'} keeps no connection of a rare call`, async () => {
      proxy.stalls = where
      const limits = { timeoutMs: 200, maxBytes: 1_000 }
      expect(await fetchText(url, { ...limits, proxy: proxy.url })).to.include({ ok: false, kind: 'timeout' })
      expect(proxy.asked).to.have.length(1)
      await proxy.idle()
    })
})

describe('a proxy that refuses', () => {
  let keyManager: ScriptedKeyManager
  let proxy: Server
  let proxyUrl: string
  let plainUrl: string
  let status: number
  beforeEach(async () => {
    keyManager = await startKeyManager()
    plainUrl = keyManager.url.replace('127.0.0.1', HOST)
    proxy = createServer((_, response) => response.writeHead(status).end())
    proxy.on('connect', (_, socket) => socket.end(`HTTP/1.1 ${status} Refused\r\ncontent-length: 0\r\n\r\n`))
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
    proxyUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  })
  afterEach(async () => {
    proxy.close()
    proxy.closeAllConnections()
    await keyManager.close()
  })
  const REFUSED = /^the proxy refused the connection: check keyManager\.proxy and what it allows \([A-Z_]+\)$/
  const expectRefusal = (result: { readonly ok: boolean; readonly kind?: string; readonly detail?: string }): void => {
    expect(result).to.include({ ok: false, kind: 'network' })
    expect(result.detail).to.match(REFUSED)
    expect(keyManager.requests).to.have.length(0)
  }

  const post = async (url: string): Promise<HttpResult> => {
    const client = clientOf(url, { proxy: proxyUrl })
    const result = await client.post({}, 'token=canary')
    await client.close()
    return result
  }

  for (const code of [403, 407]) {
    it(`says so where CONNECT is answered ${code}`, async () => {
      status = code
      const url = plainUrl.replace('http:', 'https:')
      expectRefusal(await post(url))
      expectRefusal(await fetchText(url, { timeoutMs: 2_000, maxBytes: 1_000, proxy: proxyUrl }))
    })
  }
  it('says so where a forwarded call is answered 407', async () => {
    status = 407
    expectRefusal(await post(plainUrl))
  })
})
