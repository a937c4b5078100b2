import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { serveToItsEnd } from '../faults/own-process.ts'
import { basicConfig } from '../support/app.ts'
import { oauth2Config, startAuthority } from '../support/authority.ts'
import { makeCertificates } from '../support/certificates.ts'
import { encodeCheck, httpCheck } from '../support/check-client.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'
import { inSeconds, seenIn } from '../support/pair.ts'
import { askWith, eventually, isRunning, startWorkers, type Told, type Workers } from '../support/workers.ts'

const ALLOWED = 'microgw_checks_total{decision="allow",reason="allowed"}'

describe('several workers', function () {
  // Each starts several processes, some more than once.
  this.timeout(60_000)

  let keyManager: ScriptedKeyManager
  const closers: (() => Promise<void> | void)[] = []

  beforeEach(async () => {
    keyManager = await startKeyManager()
    keyManager.answer(({ form }) => ({
      body: form.get('token')?.startsWith('good') === true ? { active: true, exp: inSeconds(300) } : { active: false },
    }))
    closers.push(() => keyManager.close())
  })
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })

  const started = async (toml: string, options: Parameters<typeof startWorkers>[1] = {}): Promise<Workers> => {
    const sidecar = await startWorkers(toml, options)
    closers.push(() => sidecar.close())
    return sidecar
  }
  const folder = (): string => {
    const path = mkdtempSync(join(tmpdir(), 'micro-gw-workers-'))
    closers.push(() => rmSync(path, { recursive: true, force: true }))
    return path
  }

  it('share a port: connections are dealt out evenly, and the figures are the sum', async () => {
    const sidecar = await started(basicConfig(keyManager.url))
    const clients = Array.from({ length: 8 }, () => sidecar.connect())
    const answers: Told[] = []
    for (const client of clients) {
      answers.push(await askWith(client, 'good'))
      answers.push(await askWith(client, 'bad'))
    }
    const byProcess = Map.groupBy(answers, (answer) => answer.process)
    expect([...byProcess.values()].map((some) => some.length)).to.deep.equal([8, 8])
    expect(new Set(answers.map(({ decisionId }) => decisionId)).size).to.equal(16)
    // Each has a memory of its own.
    expect(keyManager.requests).to.have.length(4)

    expect(await sidecar.metric(ALLOWED)).to.equal(8)
    expect(await sidecar.metric('microgw_checks_total{decision="deny",reason="inactive_token"}')).to.equal(8)
    expect(await sidecar.metric('microgw_cache_entries{store="memory"}')).to.equal(4)
    expect(await sidecar.metric('microgw_check_duration_seconds_count{cache="hit"}')).to.equal(12)
    expect(await sidecar.metric('microgw_breaker_state{state="closed"}')).to.equal(2)
    expect(await sidecar.metric(`microgw_build_info{version="0.1.0",node="${process.version}"}`)).to.equal(1)
    expect(await sidecar.metric('microgw_workers')).to.equal(2)
    expect(await sidecar.metric('process_start_time_seconds')).to.be.closeTo(Date.now() / 1000, 60)
    const { ready, totals, workers } = await sidecar.status()
    expect(ready).to.equal(true)
    expect(totals.checks).to.include({ allow: 8, deny: 8 })
    expect(workers.map(({ connections }) => connections)).to.deep.equal([4, 4])

    const { decisions } = await local(sidecar, '/decisions')
    expect(decisions).to.have.length(8)
    expect(decisions.map(({ time }: { time: string }) => time)).to.deep.equal(
      decisions
        .map(({ time }: { time: string }) => time)
        .toSorted()
        .reverse(),
    )
    for (const { decisionId, reason } of answers.filter(({ allowed }) => !allowed))
      expect(await local(sidecar, `/decisions/${decisionId}`)).to.include({ decision_id: decisionId, reason })
    const lines = sidecar.events('decision')
    expect(new Set(lines.map((line) => line['worker']))).to.deep.equal(new Set([1, 2]))
    expect(await (await fetch(`http://${sidecar.localAdmin}/config`)).text()).to.include('[redacted]')
    expect((await fetch(`http://${sidecar.localAdmin}/`)).status).to.equal(200)
  })

  it('refuse none of a burst on a new connection: Envoy sends it before it knows of any limit', async () => {
    const sidecar = await started(basicConfig(keyManager.url), { flags: { 'extAuthz.listen': '127.0.0.1:0' } })
    expect(await burst(sidecar.address, 128)).to.deep.equal(Array(128).fill('0'))
  })

  it('each of several Unix sockets belongs to one of them', async () => {
    const dir = folder()
    const [one, two] = [join(dir, 'one.sock'), join(dir, 'two.sock')]
    const taker = createServer().listen(one)
    await eventually('listening', () => taker.listening)
    const listen = `unix:${one},unix:${two}`
    const sidecar = await started(basicConfig(keyManager.url), {
      flags: { 'extAuthz.listen': `unix:${two},unix:${join(dir, 'three.sock')}`, 'extAuthz.socketMode': '0600' },
    })
    const taken = await serveToItsEnd(basicConfig(keyManager.url), {
      'extAuthz.listen': listen,
      'extAuthz.workers': '2',
    })
    expect(taken.exit).to.equal(1)
    expect(taken.output).to.include(`cannot listen on unix:${one}: another process listens there`)
    await closed(taker)

    expect(statSync(two).mode & 0o777).to.equal(0o600)
    const seen: string[][] = []
    for (const address of sidecar.addresses) {
      const answers = await Promise.all([1, 2, 3].map(() => askWith(sidecar.connect(address), 'good')))
      expect(answers.every(({ allowed }) => allowed)).to.equal(true)
      seen.push([...new Set(answers.map((answer) => answer.process))])
    }
    expect(seen.map((some) => some.length)).to.deep.equal([1, 1])
    expect(seen[0]).not.to.deep.equal(seen[1])
  })

  it('a socket file that an unclean end left behind is removed, one that is no socket is not', async () => {
    const dir = folder()
    const path = join(dir, 'authz.sock')
    const killed = await started(basicConfig(keyManager.url), { flags: { 'extAuthz.listen': `unix:${path}` } })
    await killed.close()
    const sidecar = await started(basicConfig(keyManager.url), { flags: { 'extAuthz.listen': `unix:${path}` } })
    expect((await askWith(sidecar.connect(), 'good')).allowed).to.equal(true)
    const file = join(dir, 'file')
    writeFileSync(file, '')
    const refused = await serveToItsEnd(basicConfig(keyManager.url), {
      'extAuthz.listen': `unix:${file}`,
      'extAuthz.workers': '2',
    })
    expect(refused.exit).to.equal(1)
    expect(refused.output).to.include(`cannot listen on unix:${file}: it exists and is not a socket; remove it`)
  })

  it('an address that is taken ends the start as with one process, before a worker is started', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await eventually('listening', () => other.listening)
    closers.push(() => closed(other))
    const address = other.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const ends = []
    for (const workers of ['1', '2']) {
      const { exit, output } = await serveToItsEnd(basicConfig(keyManager.url), {
        'extAuthz.listen': `127.0.0.1:${port}`,
        'extAuthz.workers': workers,
      })
      ends.push([exit, output.split('\n').find((line) => line.startsWith('micro-gw-authz:'))])
      expect(output).not.to.include('"worker_started"')
    }
    expect(ends[1]).to.deep.equal(ends[0])
    expect(ends[0]).to.deep.equal([1, `micro-gw-authz: cannot listen on 127.0.0.1:${port}: EADDRINUSE`])
  })

  it('serve TLS; renewed certificates reach all of them, and one that is started later', async () => {
    const [old, next] = [makeCertificates(), makeCertificates()]
    closers.push(old.remove, next.remove)
    const dir = folder()
    const [certFile, keyFile] = [join(dir, 'cert.pem'), join(dir, 'key.pem')]
    const write = ({ server }: typeof old): void => {
      writeFileSync(certFile, server.cert)
      writeFileSync(keyFile, server.key)
    }
    write(old)
    const tls = `[extAuthz.tls]\ncertFile = "${certFile}"\nkeyFile = "${keyFile}"\n`
    const sidecar = await started(basicConfig(keyManager.url, tls))
    const presented = () => Promise.all([1, 2, 3, 4].map(() => certificateOf(sidecar.address)))
    const one = new Set(await presented())
    expect(one.size).to.equal(1)

    // A pair that does not fit is refused, by all.
    writeFileSync(certFile, next.server.cert)
    sidecar.signal('SIGHUP')
    await eventually('refused', () => sidecar.events('config_reload_failed').length === 1)
    expect(new Set(await presented())).to.deep.equal(one)
    write(next)
    sidecar.signal('SIGHUP')
    await eventually('reloaded', () => sidecar.events('config_reloaded').length === 1)
    const renewed = new Set(await presented())
    expect(renewed.size).to.equal(1)
    expect(renewed).not.to.deep.equal(one)
    rmSync(keyFile)
    const [victim] = (await sidecar.status()).workers
    process.kill(victim?.pid ?? 0, 'SIGKILL')
    await eventually('replaced', () => sidecar.events('worker_started').length === 3)
    expect(new Set(await presented())).to.deep.equal(renewed)
  })

  it('one own token is obtained for all, renewed once when they all are refused, and never logged', async () => {
    const authority = await startAuthority()
    closers.push(() => authority.close())
    const sidecar = await started(oauth2Config(authority, 'clientCredential'), { workers: 3 })
    const clients = Array.from({ length: 6 }, () => sidecar.connect())
    const ask = (round: string) =>
      Promise.all(clients.map((client, index) => askWith(client, `good-${round}-${index}`)))
    const first = await ask('a')
    expect(first.every(({ allowed }) => allowed)).to.equal(true)
    expect(new Set(first.map((answer) => answer.process)).size).to.equal(3)
    expect(authority.tokenRequests).to.have.length(1)

    // P22: the server forgot our token.
    authority.live.clear()
    expect((await ask('b')).every(({ allowed }) => allowed)).to.equal(true)
    expect(authority.tokenRequests).to.have.length(2)
    expect(authority.mostTokenRequests).to.equal(1)
    const renewals = 'microgw_own_token_renewals_total{grant="client_credentials",outcome="success"}'
    expect(await sidecar.metric(renewals)).to.equal(2)
    expect(await sidecar.metric('microgw_own_token_expiry_timestamp_seconds')).to.be.closeTo(
      Date.now() / 1000 + 3600,
      60,
    )
    const used = authority.introspections.map(({ headers }) => headers['authorization'])
    expect(new Set(used)).to.deep.equal(new Set(['Bearer own-1', 'Bearer own-2']))

    // A worker that comes later is given what is held.
    const [victim] = (await sidecar.status()).workers
    process.kill(victim?.pid ?? 0, 'SIGKILL')
    await eventually('replaced', () => sidecar.events('worker_started').length === 4)
    expect((await ask('c')).every(({ allowed }) => allowed)).to.equal(true)
    expect(authority.tokenRequests).to.have.length(2)
    const told = sidecar.output() + JSON.stringify(await local(sidecar, '/status'))
    for (const secret of ['own-1', 'own-2', 'good-a']) expect(told).not.to.include(secret)
  })

  for (const workers of [1, 2])
    it(`tell clients to retry after a second where the own token is rejected (workers: ${workers})`, async () => {
      const authority = await startAuthority()
      closers.push(() => authority.close())
      const sidecar = await started(oauth2Config(authority, 'direct'), { workers })
      const clients = Array.from({ length: 4 }, () => sidecar.connect())
      const told: unknown[] = []
      for (let round = 0; round < 3; round += 1)
        for (const [index, client] of clients.entries()) {
          const headers = { authorization: `Bearer good-${round}-${index}` }
          told.push(seenIn(await client.check(httpCheck({ headers }), { deadlineMs: 5_000 })).headers['retry-after'])
        }
      expect(told).to.deep.equal(Array(12).fill('1'))
    })

  it('a reload to another key manager: neither is ever sent the other’s token', async () => {
    const [old, next] = [await startAuthority(), await startAuthority()]
    closers.push(
      () => old.close(),
      () => next.close(),
    )
    next.onToken = () => {
      next.live.add('next-1')
      return { body: { access_token: 'next-1', token_type: 'Bearer', expires_in: 3600 } }
    }
    const sidecar = await started(oauth2Config(old, 'clientCredential'))
    const clients = Array.from({ length: 4 }, () => sidecar.connect())
    let round = 0
    const answers: Told[] = []
    const ask = async (): Promise<void> => {
      round += 1
      answers.push(...(await Promise.all(clients.map((client, index) => askWith(client, `good-${round}-${index}`)))))
    }
    await ask()
    sidecar.rewrite(oauth2Config(next, 'clientCredential'))
    sidecar.signal('SIGHUP')
    while (sidecar.events('config_reloaded').length === 0) await ask()
    await ask()
    expect(answers.filter(({ allowed }) => !allowed)).to.deep.equal([])
    const sent = ({ introspections }: typeof old) =>
      new Set(introspections.map(({ headers }) => headers['authorization']))
    expect(sent(old)).to.deep.equal(new Set(['Bearer own-1']))
    expect(sent(next)).to.deep.equal(new Set(['Bearer next-1']))
    expect([old, next].map(({ tokenRequests }) => tokenRequests.length)).to.deep.equal([1, 1])
  })

  it('no own token: a Check is denied within its deadline, even while the primary says nothing', async () => {
    const authority = await startAuthority()
    closers.push(() => authority.close())
    authority.onToken = () => new Promise(() => undefined)
    const sidecar = await started(oauth2Config(authority, 'clientCredential'))
    const client = sidecar.connect()
    expect((await askWith(client, 'good-1')).reason).to.equal('key_manager_unavailable')
    sidecar.signal('SIGSTOP')
    const askedAt = performance.now()
    expect((await askWith(client, 'good-2')).reason).to.equal('key_manager_unavailable')
    expect(performance.now() - askedAt).to.be.below(5000)
    sidecar.signal('SIGCONT')
  })

  it('a reload reaches all of them, a broken file none, and a change of workers asks for a restart', async () => {
    const sidecar = await started(basicConfig(keyManager.url))
    const clients = Array.from({ length: 4 }, () => sidecar.connect())
    const reasons = async () =>
      (await Promise.all(clients.map((client) => askWith(client, 'good')))).map((one) => one.reason)
    expect(new Set(await reasons())).to.deep.equal(new Set(['allowed']))

    const strict = basicConfig(keyManager.url, '[policy]\nrequiredScopes = ["admin"]')
    sidecar.rewrite(strict)
    sidecar.signal('SIGHUP')
    await eventually('reloaded', () => sidecar.events('config_reloaded').length === 1)
    expect(new Set(await reasons())).to.deep.equal(new Set(['insufficient_scope']))
    expect(await sidecar.metric('microgw_config_reloads_total{outcome="success"}')).to.equal(1)

    sidecar.rewrite('[policy')
    sidecar.signal('SIGHUP')
    await eventually('refused', () => sidecar.events('config_reload_failed').length === 1)
    expect(new Set(await reasons())).to.deep.equal(new Set(['insufficient_scope']))
    expect(await sidecar.metric('microgw_config_reloads_total{outcome="failure"}')).to.equal(1)
    // One that is started now begins with what is in force, not with what the file says.
    const [victim] = (await sidecar.status()).workers
    process.kill(victim?.pid ?? 0, 'SIGKILL')
    await eventually('replaced', () => sidecar.events('worker_started').length === 3)
    const fresh = await Promise.all([1, 2].map(() => askWith(sidecar.connect(), 'good')))
    expect(fresh.map(({ reason }) => reason)).to.deep.equal(['insufficient_scope', 'insufficient_scope'])

    sidecar.rewrite(`${basicConfig(keyManager.url)}[extAuthz]\nrealm = "other"\n`)
    sidecar.signal('SIGHUP')
    await eventually('reloaded', () => sidecar.events('config_reloaded').length === 2)
    expect(new Set(await reasons())).to.deep.equal(new Set(['allowed']))
    expect((await sidecar.status()).restartRequired).to.equal(false)
  })

  it('drains all of them: nothing in flight fails, and it is out in time', async () => {
    const sidecar = await started(basicConfig(keyManager.url), {
      flags: { 'extAuthz.drainDelay': '300ms', 'extAuthz.drainTimeout': '3s', 'keyManager.timeout': '10s' },
    })
    const clients = Array.from({ length: 4 }, () => sidecar.connect())
    await Promise.all(clients.map((client) => askWith(client, 'good')))
    const held = Promise.withResolvers<void>()
    keyManager.answer(async () => {
      await held.promise
      return { body: { active: true, exp: inSeconds(300) } }
    })
    const slow = clients.map((client, index) => askWith(client, `good-${index}`))
    await eventually('in flight', async () => (await sidecar.metric('microgw_checks_in_flight')) === 4)
    const { workers } = await sidecar.status()
    const signalledAt = performance.now()
    sidecar.signal('SIGTERM')
    // It serves on until the listener closes.
    const during: Told[] = []
    while (performance.now() - signalledAt < 150) during.push(await askWith(sidecar.connect(), 'good'))
    await eventually('closed', () => refuses(sidecar.address))
    held.resolve()
    const answers = [...(await Promise.all(slow)), ...during]
    expect(answers.filter(({ allowed }) => !allowed)).to.deep.equal([])
    expect(await sidecar.exited).to.equal(0)
    expect(performance.now() - signalledAt).to.be.below(300 + 3000 + 1000)
    expect(workers.map(({ pid }) => pid).filter(isRunning)).to.deep.equal([])
  })

  it('a second signal ends all of them at once', async () => {
    const sidecar = await started(basicConfig(keyManager.url), { flags: { 'extAuthz.drainDelay': '60s' } })
    const { workers } = await sidecar.status()
    sidecar.signal('SIGTERM')
    await eventually('draining', () => sidecar.events('drain_started').length === 1)
    sidecar.signal('SIGTERM')
    expect(await sidecar.exited).to.equal(0)
    expect(workers.map(({ pid }) => pid).filter(isRunning)).to.deep.equal([])
  })

  it('signals to the whole group are the primary’s business', async () => {
    const sidecar = await started(basicConfig(keyManager.url))
    const { workers } = await sidecar.status()
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
      for (const { pid } of workers) process.kill(pid, signal)
    expect((await askWith(sidecar.connect(), 'good')).allowed).to.equal(true)
    expect((await sidecar.status()).workers.map(({ pid }) => pid)).to.deep.equal(workers.map(({ pid }) => pid))
  })

  it('none outlives the primary', async () => {
    const sidecar = await started(basicConfig(keyManager.url))
    // A connection would keep its worker alive.
    await Promise.all([1, 2].map(() => askWith(sidecar.connect(), 'good')))
    const pids = (await sidecar.status()).workers.map(({ pid }) => pid)
    expect(pids.filter(isRunning)).to.deep.equal(pids)
    sidecar.signal('SIGKILL')
    await sidecar.exited
    await eventually('gone', () => pids.filter(isRunning).length === 0, 2000)
  })

  it('one that hangs holds up neither metrics nor the others, and is replaced', async () => {
    const sidecar = await started(basicConfig(keyManager.url))
    const clients = Array.from({ length: 4 }, () => sidecar.connect())
    await Promise.all(clients.map((client) => askWith(client, 'good')))
    expect(await sidecar.metric(ALLOWED)).to.equal(4)
    const [victim] = (await sidecar.status()).workers
    process.kill(victim?.pid ?? 0, 'SIGSTOP')
    const askedAt = performance.now()
    // What it said last stands in for it.
    expect(await sidecar.metric(ALLOWED)).to.equal(4)
    expect(performance.now() - askedAt).to.be.below(3000)
    expect((await sidecar.status()).workers.map(({ answers }) => answers)).to.deep.equal([false, true])
    await eventually('noticed', () => sidecar.events('worker_stuck').length === 1)
    await eventually('replaced', () => sidecar.events('worker_started').length === 3)
    expect(sidecar.events('worker_ended')[0]).to.include({ worker: 1, reason: 'stuck' })
    expect(await sidecar.metric('microgw_worker_restarts_total{reason="stuck"}')).to.equal(1)
    expect(await sidecar.metric(ALLOWED)).to.equal(4)
    expect(
      (await Promise.all(clients.map((client) => askWith(client, 'good')))).every(({ allowed }) => allowed),
    ).to.equal(true)
  })

  it('one that hangs does not hold up the end', async () => {
    const sidecar = await started(basicConfig(keyManager.url), {
      flags: { 'extAuthz.drainDelay': '0s', 'extAuthz.drainTimeout': '500ms' },
    })
    const [victim] = (await sidecar.status()).workers
    process.kill(victim?.pid ?? 0, 'SIGSTOP')
    const signalledAt = performance.now()
    sidecar.signal('SIGTERM')
    expect(await sidecar.exited).to.equal(0)
    expect(performance.now() - signalledAt).to.be.below(500 + 1500)
    expect(isRunning(victim?.pid ?? 0)).to.equal(false)
  })

  it('long lines of several of them stay whole', async () => {
    const sidecar = await started(basicConfig(keyManager.url), { flags: { 'log.maxDenyPerSecond': '100000' } })
    const clients = Array.from({ length: 4 }, () => sidecar.connect())
    // Escaped, each of these characters is six: together less than what is kept for a reader that is late.
    const path = `/${'\u0001'.repeat(1000)}`
    await Promise.all(clients.flatMap((client) => Array.from({ length: 35 }, () => askWith(client, 'bad', path))))
    await eventually('written', () => sidecar.events('decision').length === 140)
    const lines = sidecar.output().trimEnd().split('\n')
    for (const line of lines) expect(() => JSON.parse(line)).not.to.throw()
    expect(Math.min(...lines.filter((line) => line.includes('"decision"')).map((line) => line.length))).to.be.above(
      4096,
    )
  })

  it('`worker` is not for people', async () => {
    const { runCli } = await import('../../src/cli.ts')
    const said: string[] = []
    const io = { stdin: process.stdin, out() {}, err: (text: string) => void said.push(text) }
    expect(await runCli(['worker', 'one'], {}, io)).to.equal(2)
    expect(said.join('')).to.include('serve')
  })
})

async function local(sidecar: Workers, path: string) {
  return JSON.parse(await (await fetch(`http://${sidecar.localAdmin}${path}`)).text())
}

const closed = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()))

function refuses(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(Number(address.split(':').at(-1)), '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', () => resolve(true))
  })
}

/** The fingerprint of what a new connection is shown. */
function certificateOf(address: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const port = Number(address.split(':').at(-1))
    const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: ['h2'] }, () => {
      resolve(socket.getPeerCertificate().fingerprint256)
      socket.destroy()
    })
    socket.once('error', reject)
  })
}

/** The gRPC status of each of so many Checks that are sent before the server has said what it allows. */
async function burst(address: string, count: number): Promise<readonly string[]> {
  const session = connectHttp2(`http://${address}`, { peerMaxConcurrentStreams: count })
  const check = encodeCheck(
    httpCheck({ method: 'GET', path: '/', host: 'h', headers: { authorization: 'Bearer unknown' } }),
  )
  const message = Buffer.concat([Buffer.alloc(5), check])
  message.writeUInt32BE(check.length, 1)
  const sent = Array.from({ length: count }, () => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/envoy.service.auth.v3.Authorization/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    return new Promise<string>((resolve) => {
      stream.on('trailers', (trailers) => resolve(String(trailers['grpc-status'])))
      stream.on('error', ({ message: said }) => resolve(said))
      stream.resume().end(message)
    })
  })
  const statuses = await Promise.all(sent)
  session.destroy()
  return statuses
}
