/**
 * The process above several workers: it loads the configuration, binds, obtains the own token, watches, reloads and
 * reports; it answers no Checks. What it does not hold, no worker has to.
 */
import { randomBytes } from 'node:crypto'
import type { Config } from '../config/config.ts'
import { clientIdentity, createKeyManager, type KeyManager, readKeyManagerTls } from '../keymanager/key-manager.ts'
import type { TlsOptions } from '../net/tls.ts'
import { startAdmin } from '../server/admin.ts'
import { announceConfiguration, announceKeyManager } from '../server/announce.ts'
import { keepConfiguration } from '../server/configuration.ts'
import { readServerTls, verifyServerTls, warnOpenPort } from '../server/listeners.ts'
import type { ServerTls } from '../server/server-tls.ts'
import type { Sidecar, SidecarStart } from '../server/sidecar.ts'
import { createLog } from '../telemetry/log.ts'
import { createPrimaryMetrics } from '../telemetry/metrics.ts'
import { VERSION } from '../telemetry/version.ts'
import { openFront } from './front.ts'
import { createMergedView } from './merged-view.ts'
import { createOwnTokenRelay } from './own-token-relay.ts'
import { createPool } from './pool.ts'
import type { Setup } from './setup.ts'

/** What of one configuration the workers are sent. */
interface InForce {
  readonly config: Config
  readonly client: KeyManager
  readonly serverTls: ServerTls | undefined
  readonly keyManagerTls: TlsOptions
  /** Of the own token; undefined: none is needed. */
  readonly source: number | undefined
}

/** Rejects as `startApp`; no worker is left then. */
export async function startPrimary(start: SidecarStart, workers: number): Promise<Sidecar> {
  const { loaded, load, clock, writeLog } = start
  const bound = loaded.config
  const { listen, socketMode } = bound.extAuthz
  const log = createLog({ level: bound.log.level, write: writeLog, clock })
  const metrics = createPrimaryMetrics()
  metrics.logLinesLost(start.logLinesLost)
  const relay = createOwnTokenRelay(clock, (message) => pool.tell(message))
  const nextPrefix = createPrefixes()
  const startedAt = new Date(clock.wallMs()).toISOString()
  let isReady = false
  let isServing = true
  let generation = 1

  announceConfiguration(bound, loaded.problems, log)
  const pool = createPool({
    workers,
    listeners: listen.length,
    setup,
    clock,
    log,
    writeLog,
    answerOwnToken({ id, source, refused }, answer) {
      void relay.answer(source, refused).then((said) => answer({ kind: 'own_token_answer', id, answer: said }))
    },
    lost(process, reason) {
      metrics.workerLost(reason)
      view.forget(process)
    },
  })
  let inForce = prepare(bound, undefined)
  inForce.client.takeOver()
  putTokenInForce()
  const configuration = keepConfiguration({ loaded, load, apply, metrics, log, clock })
  const view = createMergedView({ pool, metrics, ownStatus })
  metrics.workersServing(() => pool.members().length)
  metrics.configLoaded(clock.wallMs())

  const admin = await startAdmin({
    listen: bound.admin.listen,
    localListen: bound.admin.localListen,
    metrics: view,
    metricsEnabled: () => inForce.config.admin.metrics,
    ready: () => isReady && pool.members().length > 0,
    config: () => inForce.config,
    configuration: configuration.effective,
    status: view.status,
    decisions: view.decisions,
  }).catch(async (error: unknown) => {
    configuration.close()
    await inForce.client.close()
    throw error
  })
  // Bound first: an address that is taken is said at once. Who connects meanwhile waits for the workers.
  const front = await openFront(listen, socketMode, pool.give).catch(async (error: unknown) => {
    await close()
    throw error
  })
  await pool.start().catch(async (error: unknown) => {
    front.close()
    await close()
    throw error
  })
  for (const [index, address] of front.addresses.entries()) {
    const one = listen[index]
    if (one !== undefined) warnOpenPort(one, address, inForce.serverTls, log)
  }
  isReady = true
  log.info('started', {
    version: VERSION,
    extAuthz: front.addresses,
    admin: admin.address,
    localAdmin: admin.localAddress,
    workers,
  })
  announceKeyManager(inForce.config, inForce.client, log)

  /** Throws where a file cannot be used: nothing is left of it then. */
  function prepare(config: Config, before: InForce | undefined): InForce {
    const tls = readServerTls(config)
    if (tls !== undefined) verifyServerTls(tls)
    const keyManagerTls = readKeyManagerTls(config.keyManager)
    const { source, changed } = relay.announceSource()
    const client = createKeyManager(
      config.keyManager,
      { clock, log, metrics, tls: keyManagerTls, ownTokenChanged: changed },
      before?.client,
    )
    const isKept = client.ownToken !== undefined && client.ownToken === before?.client.ownToken
    return {
      config,
      client,
      serverTls: before === undefined ? tls : renewed(before.serverTls, tls),
      keyManagerTls,
      source: client.ownToken === undefined ? undefined : isKept ? before?.source : source,
    }
  }

  function putTokenInForce(): void {
    const { source, client } = inForce
    if (source !== undefined && client.ownToken !== undefined) relay.use(source, client.ownToken.token)
  }

  async function apply(next: Config): Promise<KeyManager> {
    const before = inForce
    inForce = prepare(next, before)
    generation += 1
    inForce.client.takeOver(before.client)
    putTokenInForce()
    log.setLevel(next.log.level)
    await pool.reconfigure()
    // Only now: until then a worker may have asked for the own token of the old one.
    relay.swapped()
    void before.client.close(inForce.client)
    return inForce.client
  }

  function setup(): Setup {
    const { config, serverTls, keyManagerTls, source } = inForce
    return {
      generation,
      config,
      listen,
      serverTls,
      keyManagerTls,
      clientIdentity: clientIdentity(config.keyManager),
      ownToken: source === undefined ? undefined : { source, token: relay.held(source) },
      decisionIdPrefix: nextPrefix(),
      isServing,
    }
  }

  function ownStatus() {
    return {
      ready: isReady && pool.members().length > 0,
      startedAt,
      configLoadedAt: configuration.loadedAt,
      restartRequired: configuration.restartRequired,
      config: inForce.config,
      keyManager: inForce.client.status(),
      totals: metrics.totals(),
    }
  }

  async function close(): Promise<void> {
    configuration.close()
    void inForce.client.close()
    await admin.close()
  }

  return {
    addresses: { extAuthz: front.addresses, admin: admin.address, localAdmin: admin.localAddress },
    reload: configuration.reload,
    async drain() {
      isReady = false
      const { drainDelayMs, drainTimeoutMs, drainHealth } = inForce.config.extAuthz
      // A worker that is started later learns it from its setup.
      isServing = !drainHealth
      if (drainHealth) pool.tell({ kind: 'not_serving' })
      log.info('drain_started', { drainDelayMs, drainTimeoutMs })
      await new Promise<void>((resolve) => void clock.after(drainDelayMs, resolve))
      front.close()
      await pool.drain(drainTimeoutMs)
      await close()
    },
    async stop() {
      isReady = false
      front.close()
      await pool.stop()
      await close()
    },
  }
}

/** What a reload can change of the listeners that are bound: certificates, but not whether there are any. */
function renewed(before: ServerTls | undefined, next: ServerTls | undefined): ServerTls | undefined {
  if (before === undefined || next === undefined) return before
  const { cert, key, clientCa } = next
  return before.clientCa === undefined ? { cert, key } : { cert, key, clientCa: clientCa ?? before.clientCa }
}

/** Beginnings of decision ids, random, and none of them twice: ids are unique across workers and their successors. */
function createPrefixes(): () => string {
  const given = new Set<string>()
  return () => {
    let prefix = randomBytes(4).toString('hex')
    while (given.has(prefix)) prefix = randomBytes(4).toString('hex')
    given.add(prefix)
    return prefix
  }
}
