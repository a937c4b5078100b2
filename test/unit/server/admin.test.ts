import { hash } from 'node:crypto'
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { systemClock } from '../../../src/clock.ts'
import { Secret } from '../../../src/config/secret.ts'
import { type Admin, startAdmin } from '../../../src/server/admin.ts'
import { createDecisionLog, type DecisionLog, type RecentDeny } from '../../../src/telemetry/decision-log.ts'
import { createLog } from '../../../src/telemetry/log.ts'
import { createMetrics } from '../../../src/telemetry/metrics.ts'
import { checkView } from '../../support/check-view.ts'
import { denied } from '../../support/fake-pipeline.ts'
import { STARTED, withKeyManager } from '../../support/status.ts'

const LOOPBACK = { host: '127.0.0.1', port: 0 }

interface Got {
  status: number | undefined
  headers: Record<string, unknown>
  body: string
}

function get(address: string, path: string, options: { host?: string; method?: string } = {}): Promise<Got> {
  return new Promise((resolve, reject) => {
    const { host = address, method = 'GET' } = options
    const asked = request(`http://${address}${path}`, { method, headers: { host }, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => {
        body += text
      })
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }))
    })
    asked.on('error', reject)
    asked.end()
  })
}

describe('the admin listeners', () => {
  let admin: Admin
  let decisions: DecisionLog
  let isReady: boolean
  let hasMetrics: boolean
  let scrapes: number
  /** What an exposition waits for. */
  let gathered: Promise<void>
  let outside: string
  let local: string

  beforeEach(async () => {
    isReady = true
    hasMetrics = true
    scrapes = 0
    gathered = Promise.resolve()
    const metrics = createMetrics()
    const log = createLog({ level: 'error', write: () => {}, clock: systemClock })
    decisions = createDecisionLog({ allow: false, maxDenyPerSecond: 50 }, { log, clock: systemClock })
    admin = await startAdmin({
      listen: LOOPBACK,
      localListen: LOOPBACK,
      metrics: {
        exposition() {
          scrapes += 1
          return gathered.then(() => metrics.exposition())
        },
      },
      metricsEnabled: () => hasMetrics,
      ready: () => isReady,
      config: () => ({ password: new Secret('canary') }),
      status: () => withKeyManager({ url: 'https://idp.example.com/"<closed>' }),
      configuration: () => ({ file: '/etc/micro-gw.conf', values: [] }),
      decisions,
    })
    outside = admin.address
    local = admin.localAddress ?? ''
  })

  afterEach(() => admin.close())

  it('serves probes and metrics outside', async () => {
    expect(await get(outside, '/livez')).to.include({ status: 200, body: 'ok\n' })
    expect(await get(outside, '/readyz')).to.include({ status: 200 })
    const metrics = await get(outside, '/metrics')
    expect(metrics.headers['content-type']).to.match(/^text\/plain; version=0\.0\.4/)
    expect(metrics.body).to.contain('microgw_build_info')
  })

  it('is not ready where the application says so', async () => {
    isReady = false
    expect(await get(outside, '/readyz')).to.include({ status: 503 })
    expect(await get(outside, '/livez')).to.include({ status: 200 })
  })

  it('answers 404 for /metrics where they are switched off', async () => {
    hasMetrics = false
    expect(await get(outside, '/metrics')).to.include({ status: 404 })
  })

  for (const path of ['/', '/config', '/status', '/decisions', '/revocations', '/metrics/x', '//livez']) {
    it(`answers 404 for ${path} outside`, async () => {
      expect(await get(outside, path)).to.include({ status: 404 })
    })
  }

  it('begins one request at a time on a connection, however many came in one packet', async () => {
    const [host = '', port] = outside.split(':')
    const socket = connect(Number(port), host)
    socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1500))
    await once(socket, 'close')
    expect(scrapes).to.equal(1)
    expect(await get(outside, '/livez')).to.include({ status: 200 })
  })

  it('answers a probe although a neighbour holds 600 connections, and does not keep them', async () => {
    const [host = '', port] = outside.split(':')
    const held = Array.from({ length: 600 }, () => connect(Number(port), host))
    for (const socket of held) socket.on('error', () => undefined)
    await Promise.all(held.map((socket) => once(socket, 'connect')))
    expect(await get(outside, '/livez')).to.include({ status: 200 })
    const ended = held.filter((socket) => socket.destroyed || socket.readableEnded || socket.closed)
    for (const socket of held) socket.destroy()
    expect(ended.length).to.be.greaterThan(80)
  })

  it('answers one request after the other on a connection that is kept', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const statuses = await Promise.all(
      ['/livez', '/metrics', '/readyz', '/metrics'].map(async (path) => {
        const response = await new Promise<IncomingMessage>((resolve, reject) => {
          request(`http://${outside}${path}`, { agent }, resolve).on('error', reject).end()
        })
        response.resume()
        await once(response, 'end')
        return response.statusCode
      }),
    )
    agent.destroy()
    expect(statuses).to.deep.equal([200, 200, 200, 200])
  })

  it('gives scrapes that come together the same exposition', async () => {
    const isGathered = Promise.withResolvers<void>()
    gathered = isGathered.promise
    const together = Array.from({ length: 20 }, () => get(outside, '/metrics'))
    while (scrapes === 0) await get(outside, '/livez')
    isGathered.resolve()
    for (const { body } of await Promise.all(together)) expect(body).to.contain('microgw_build_info')
    expect(scrapes).to.be.below(20)
    const before = scrapes
    await get(outside, '/metrics')
    expect(scrapes).to.equal(before + 1)
  })

  it('takes GET and HEAD alone', async () => {
    expect(await get(outside, '/livez', { method: 'HEAD' })).to.include({ status: 200, body: '' })
    const refused = await get(outside, '/livez', { method: 'POST' })
    expect(refused).to.include({ status: 405 })
    expect(refused.headers).to.include({ allow: 'GET, HEAD' })
    expect(await get(local, '/status', { method: 'POST' })).to.include({ status: 405 })
  })

  it('shows the configuration without secrets', async () => {
    const got = await get(local, '/config')
    expect(JSON.parse(got.body)).to.deep.equal({ password: '[redacted]' })
  })

  it('refuses a Host header that is no loopback name, on every page', async () => {
    for (const path of ['/', '/config', '/status', '/decisions']) {
      expect(await get(local, path, { host: 'attacker.example' })).to.include({ status: 421 })
      expect(await get(local, path, { host: '127.0.0.1.attacker.example' })).to.include({ status: 421 })
    }
    for (const host of ['localhost', 'localhost:9798', '127.0.0.1', '[::1]:9798']) {
      expect(await get(local, '/status', { host })).to.include({ status: 200 })
    }
  })

  it('lists denies, newest first, and finds one by its id', async () => {
    decisions.record(checkView({ path: '/first' }), denied('inactive_token'), '0a0a0a0a-000000000001', 1)
    decisions.record(checkView({ path: '/second' }), denied('overloaded'), '0a0a0a0a-000000000002', 1)
    const listed: { decisions: { path: string }[] } = JSON.parse((await get(local, '/decisions')).body)
    expect(listed.decisions.map(({ path }) => path)).to.deep.equal(['/second', '/first'])
    const found: unknown = JSON.parse((await get(local, '/decisions/0a0a0a0a-000000000001')).body)
    expect(found).to.include({ reason: 'inactive_token', path: '/first' })
    expect(await get(local, '/decisions/0a0a0a0a-000000000009')).to.include({ status: 404 })
  })

  it('F38 escapes what requests brought onto the status page', async () => {
    decisions.record(checkView({ path: '/<script>alert(1)</script>', host: '"&\'' }), denied('inactive_token'), 'x', 1)
    const page = await get(local, '/')
    expect(page.body).to.contain('&lt;script&gt;').and.not.contain('<script')
    expect(page.body).to.contain('&quot;&amp;&#39;').and.contain('&lt;closed&gt;')
  })

  it('forbids everything but its own style sheet, and lets nobody frame, keep or follow', async () => {
    const { headers, body } = await get(local, '/')
    const style = /<style>(.*?)<\/style>/s.exec(body)?.[1] ?? ''
    const digest = hash('sha256', style, 'base64')
    expect(headers).to.include({
      'content-security-policy': `default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-${digest}'`,
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
      'content-type': 'text/html; charset=utf-8',
    })
    expect(body.match(/<style|<script|<link|<img|<iframe|<form|style=|src=|\bon\w+=/g)).to.deep.equal(['<style'])
    for (const path of ['/status', '/config', '/decisions', '/nothing']) {
      const other = await get(local, path)
      expect(other.headers['content-security-policy']).to.equal(
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      )
      expect(other.headers).to.include({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' })
    }
  })

  it('waits for a status, denies and metrics that are gathered from several processes', async () => {
    const deny = { decision_id: '0a0a0a0a-000000000009', reason: 'overloaded', time: 'then' } as RecentDeny
    const gathered = await startAdmin({
      listen: LOOPBACK,
      localListen: LOOPBACK,
      metrics: { exposition: async () => ({ contentType: 'text/plain', body: 'merged 1\n' }) },
      ready: () => true,
      config: () => ({}),
      status: async () => withKeyManager({ breaker: 'open' }),
      decisions: { recent: async () => [deny], find: async () => deny },
    })
    try {
      expect(await get(gathered.address, '/metrics')).to.include({ status: 200, body: 'merged 1\n' })
      const here = gathered.localAddress ?? ''
      expect(JSON.parse((await get(here, '/status')).body)).to.have.nested.property('keyManager.breaker', 'open')
      expect(JSON.parse((await get(here, '/decisions')).body)).to.deep.equal({ decisions: [deny] })
      expect(JSON.parse((await get(here, '/decisions/0a0a0a0a-000000000009')).body)).to.deep.equal(deny)
      expect((await get(here, '/')).body).to.contain('0a0a0a0a-000000000009')
    } finally {
      await gathered.close()
    }
  })

  it('answers 404 for /revocations, which does not exist yet', async () => {
    expect(await get(local, '/revocations')).to.include({ status: 404 })
  })

  it('names the address that is taken, and leaves nothing bound', async () => {
    const [host = '', port] = outside.split(':')
    const taken = { host, port: Number(port) }
    const options = { ready: () => true, config: () => ({}), status: () => STARTED, decisions, metrics: undefined }
    const failure = await startAdmin({ ...options, listen: LOOPBACK, localListen: taken }).catch(String)
    expect(failure).to.equal(`Error: cannot listen on ${outside}: EADDRINUSE`)
  })
})
