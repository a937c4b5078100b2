/**
 * F24 to F26 again, with a real Envoy and the files of deploy/envoy/: reloads, a drain and a rolling restart under 500 requests a
 * second, one in ten of them with a token nobody has seen. Not one may fail.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { expect } from 'chai'
import { after, afterEach, before, beforeEach, describe, it } from 'mocha'
import { inSeconds } from '../support/pair.ts'
import { type Deployed, eventually, type Instance, SERVER_NAME, startDeployed } from './deployed.ts'
import { type Load, startLoad } from './load.ts'
import { envoyOrSkip, send, VERSIONS } from './traffic.ts'

const PER_SECOND = 500
/** One request in so many carries a token that must be introspected. */
const FRESH_EVERY = 10

const SUCCESS = 'microgw_config_reloads_total{outcome="success"}'
const FAILURE = 'microgw_config_reloads_total{outcome="failure"}'
const HEALTHY = 'cluster.authz.membership_healthy'

/**
 * The times of the files are for production; here a stall of a shared machine may last longer than the filter's second. A Check that
 * is never answered is still found, after fifteen.
 */
const patient = (bootstrap: string): string =>
  bootstrap.replace(/^( +timeout:) 1s$/m, '$1 15s').replaceAll(/(?<=connect_timeout: )\S+/g, '15s')

const withoutRetry = (bootstrap: string): string => {
  const start = bootstrap.search(/^ +retry_policy:/m)
  const end = bootstrap.search(/^ +failure_mode_allow:/m)
  return patient(bootstrap.slice(0, start) + bootstrap.slice(end))
}

const FLAGS = { 'keyManager.timeout': '20s', 'keyManager.connectTimeout': '20s', 'keyManager.breaker.failures': '1000' }

function loadOn(running: Deployed): Load {
  running.keyManager.answer(() => ({ body: { active: true, client_id: 'shop', scope: 'a', exp: inSeconds(300) } }))
  return startLoad({
    port: running.places.port,
    perSecond: PER_SECOND,
    token: (index) => (index % FRESH_EVERY === 0 ? `fresh-${Math.random().toString(36).slice(2)}` : 'kept'),
  })
}

/** So many more requests: what a test did must show in requests that came after it. */
function more(load: Load, count: number): Promise<true> {
  const until = load.sent() + count
  return eventually(`${count} more requests`, () => (load.sent() >= until ? true : undefined))
}

/** `sinceMs`: those sent earlier are not looked at. */
async function expectNoneFailed(load: Load, sinceMs = 0): Promise<void> {
  const { sent, failed: all } = await load.finish()
  const failed = all.filter(({ sentMs }) => sentMs >= sinceMs)
  expect(sent).to.be.greaterThan(PER_SECOND / 5)
  const kinds = Map.groupBy(failed, ({ status, detail }) => `${status} ${detail || 'by Envoy, without a body'}`)
  const counts = [...kinds].map(([kind, ones]) => `${ones.length} x ${kind}, first after ${ones[0]?.afterMs} ms`)
  expect(counts, `of ${sent} requests failed`).to.deep.equal([])
}

const reached = (instance: Instance, series: string, count: number) =>
  eventually(`${series} ${count}`, async () => ((await instance.current().metric(series)) >= count ? true : undefined))

const statusOf = async (running: Deployed, path: string): Promise<number> =>
  (await send(running.places.port, ['authorization', 'Bearer kept'], path)).status

for (const version of VERSIONS) {
  describe(`reload under ${PER_SECOND} requests a second, Envoy ${version}`, function () {
    this.timeout(180_000)
    let running: Deployed
    let instance: Instance
    let load: Load

    before(async function () {
      running = await startDeployed(envoyOrSkip(version, this), 'tcp.yaml', { change: patient, flags: FLAGS })
      const [only] = running.instances
      if (only === undefined) throw new Error('no sidecar')
      instance = only
    })

    beforeEach(async () => {
      load = loadOn(running)
      await more(load, 100)
    })

    afterEach(async () => {
      await load.finish()
    })

    after(() => running?.close())

    const rule = (name: string): string => `
[[policy.rules]]
name = "${name}"
paths = ["/${name}/*"]
requiredScopes = ["${name}"]
`

    it('SIGHUP: the new rule holds', async () => {
      expect(await statusOf(running, '/hangup/1')).to.equal(200)
      const successes = await instance.current().metric(SUCCESS)
      writeFileSync(instance.config.path('micro-gw.conf'), `${instance.text}${rule('hangup')}`)
      instance.current().signal('SIGHUP')
      await reached(instance, SUCCESS, successes + 1)
      expect(await statusOf(running, '/hangup/1')).to.equal(403)
      // With nothing changed the poll has nothing to notice: this one is the signal's.
      instance.current().signal('SIGHUP')
      await reached(instance, SUCCESS, successes + 2)
      await more(load, 100)
      await expectNoneFailed(load)
    })

    it("a ConfigMap's symlink swap is noticed by itself", async () => {
      expect(await statusOf(running, '/swap/1')).to.equal(200)
      const successes = await instance.current().metric(SUCCESS)
      instance.config.swap({ 'micro-gw.conf': `${instance.text}${rule('swap')}` })
      await reached(instance, SUCCESS, successes + 1)
      expect(await statusOf(running, '/swap/1')).to.equal(403)
      await more(load, 100)
      await expectNoneFailed(load)
    })

    it('a rotated secret is used for the next introspection', async () => {
      const basic = (secret: string): string => `Basic ${Buffer.from(`gateway:${secret}`).toString('base64')}`
      const usedLast = () => running.keyManager.requests.at(-1)?.headers['authorization']
      expect(usedLast()).to.equal(basic('gateway-secret'))
      const successes = await instance.current().metric(SUCCESS)
      writeFileSync(running.places.secretFile, 'rotated\n')
      await reached(instance, SUCCESS, successes + 1)
      await eventually('the new secret at the key manager', () => (usedLast() === basic('rotated') ? true : undefined))
      await more(load, 100)
      expect(usedLast()).to.equal(basic('rotated'))
      await expectNoneFailed(load)
    })

    it('a broken file: the old rules hold, metric and log say so', async () => {
      expect(await statusOf(running, '/swap/1')).to.equal(403)
      const failures = await instance.current().metric(FAILURE)
      instance.config.swap({ 'micro-gw.conf': `${instance.text}drainDelay = "soon"\n` })
      await reached(instance, FAILURE, failures + 1)
      const log = instance.current().output()
      expect(/.*"event":"config_reload_failed".*/.exec(log)?.[0]).to.contain('extAuthz.drainDelay')
      expect(await statusOf(running, '/swap/1')).to.equal(403)
      await more(load, 100)
      await expectNoneFailed(load)
    })
  })

  describe(`restart under ${PER_SECOND} requests a second, Envoy ${version}`, function () {
    this.timeout(180_000)
    let running: Deployed

    before(async function () {
      running = await startDeployed(envoyOrSkip(version, this), 'mutual-tls.yaml', { change: patient, flags: FLAGS })
    })

    after(() => running?.close())

    it('a rotated certificate is shown to the next connection', async () => {
      const load = loadOn(running)
      await more(load, 100)
      const before = await certificateOf(running)
      renewServerCertificate(running)
      const after = await eventually('another certificate', async () => {
        const shown = await certificateOf(running)
        return shown === before ? undefined : shown
      })
      expect(after).to.not.equal('')
      await more(load, 100)
      await expectNoneFailed(load)
    })

    it('SIGTERM to one of two, then to the other: a rolling restart', async () => {
      const load = loadOn(running)
      await more(load, 100)
      for (const instance of running.instances) {
        instance.current().signal('SIGTERM')
        expect(await instance.current().exited).to.equal(0)
        await instance.startAgain()
        await eventually('two healthy hosts', async () => ((await running.stat(HEALTHY)) === 2 ? true : undefined))
      }
      await more(load, 500)
      // Both new processes have served: neither was left out.
      for (const instance of running.instances) {
        const allowed = 'microgw_checks_total{decision="allow",reason="allowed"}'
        expect(await instance.current().metric(allowed)).to.be.greaterThan(50)
      }
      await expectNoneFailed(load)
    })

    it('one that is killed outright fails no request that is sent after', async () => {
      const load = loadOn(running)
      await more(load, 100)
      const [first] = running.instances
      await first?.current().close()
      const goneMs = load.elapsedMs()
      await more(load, PER_SECOND)
      await first?.startAgain()
      await eventually('two healthy hosts', async () => ((await running.stat(HEALTHY)) === 2 ? true : undefined))
      await expectNoneFailed(load, goneMs)
    })
  })

  describe(`what the recommended settings are for, Envoy ${version}`, function () {
    this.timeout(180_000)

    it('killed outright and no retry: requests fail, and are counted here', async function () {
      const running = await startDeployed(envoyOrSkip(version, this), 'mutual-tls.yaml', {
        change: withoutRetry,
        flags: FLAGS,
      })
      try {
        const load = loadOn(running)
        await more(load, 100)
        await running.instances[0]?.current().close()
        await more(load, PER_SECOND)
        const { failed } = await load.finish()
        expect(failed.length).to.be.greaterThan(0)
        expect(failed.every(({ status }) => status === 503)).to.equal(true)
      } finally {
        await running.close()
      }
    })
  })
}

/** The fingerprint that the first sidecar shows now. */
function certificateOf(running: Deployed): Promise<string> {
  const { certificates, sidecarPort } = running.places
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: '127.0.0.1',
      port: sidecarPort,
      servername: SERVER_NAME,
      ALPNProtocols: ['h2'],
      ca: readFileSync(certificates?.caFile ?? ''),
      cert: readFileSync(certificates?.clientCertFile ?? ''),
      key: readFileSync(certificates?.clientKeyFile ?? ''),
    })
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      const { fingerprint256 } = socket.getPeerCertificate()
      socket.destroy()
      resolve(fingerprint256)
    })
  })
}

/** Another certificate for the same key, by the same authority: one file is replaced at one instant. */
function renewServerCertificate(running: Deployed): void {
  const { certificates } = running.places
  if (certificates === undefined) throw new Error('no certificates')
  const { directory, serverCertFile } = certificates
  const signing = ['-in', 'server.csr', '-out', 'renewed.pem', '-extfile', 'server.cnf', '-days', '2']
  const authority = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial']
  execFileSync('openssl', ['x509', '-req', ...signing, ...authority], { cwd: directory, stdio: 'ignore' })
  writeFileSync(serverCertFile, readFileSync(join(directory, 'renewed.pem')))
}
