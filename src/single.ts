/** The sidecar in one process: what `workers = 1` starts. */
import { createCheckService } from './check-service.ts'
import type { Config } from './config/config.ts'
import type { KeyManager } from './keymanager/key-manager.ts'
import { startAdmin } from './server/admin.ts'
import { announceConfiguration, announceKeyManager } from './server/announce.ts'
import { keepConfiguration } from './server/configuration.ts'
import { readServerTls } from './server/listeners.ts'
import type { Sidecar, SidecarStart } from './server/sidecar.ts'
import { createLog } from './telemetry/log.ts'
import { createMetrics } from './telemetry/metrics.ts'
import { VERSION } from './telemetry/version.ts'

/** Rejects as `startApp`. */
export async function startSingle({ loaded, load, clock, writeLog, logLinesLost }: SidecarStart): Promise<Sidecar> {
  const log = createLog({ level: loaded.config.log.level, write: writeLog, clock })
  const metrics = createMetrics()
  metrics.logLinesLost(logLinesLost)
  announceConfiguration(loaded.config, loaded.problems, log)
  const service = createCheckService(loaded.config, { clock, metrics, log })
  const { server, health, decisions, graph } = service
  let isReady = false
  const startedAt = new Date(clock.wallMs()).toISOString()
  metrics.configLoaded(clock.wallMs())
  const configuration = keepConfiguration({ loaded, load, apply, metrics, log, clock })

  const admin = await startAdmin({
    listen: loaded.config.admin.listen,
    localListen: loaded.config.admin.localListen,
    metrics,
    metricsEnabled: () => graph().config.admin.metrics,
    ready: () => isReady,
    config: () => graph().config,
    configuration: configuration.effective,
    status: () =>
      service.status({
        ready: isReady,
        startedAt,
        configLoadedAt: configuration.loadedAt,
        restartRequired: configuration.restartRequired,
      }),
    decisions,
  })
  const extAuthz = await bindAll(loaded.config).catch(async (error: unknown) => {
    configuration.close()
    await Promise.all([server.stop(), admin.close(), graph().client.close()])
    throw error
  })
  isReady = true
  health.setServing(true)
  log.info('started', { version: VERSION, extAuthz, admin: admin.address, localAdmin: admin.localAddress })
  announceKeyManager(graph().config, graph().client, log)

  function apply(next: Config): KeyManager {
    service.swap(next, readServerTls(next))
    return graph().client
  }

  async function bindAll(config: Config): Promise<readonly string[]> {
    const tls = readServerTls(config)
    const bound: string[] = []
    for (const listen of config.extAuthz.listen) {
      bound.push(await server.bind(listen, { socketMode: config.extAuthz.socketMode, tls }))
    }
    return bound
  }

  async function close(): Promise<void> {
    configuration.close()
    service.close()
    await admin.close()
  }

  return {
    addresses: { extAuthz, admin: admin.address, localAdmin: admin.localAddress },
    reload: configuration.reload,
    async drain() {
      isReady = false
      const { drainDelayMs, drainTimeoutMs, drainHealth } = graph().config.extAuthz
      if (drainHealth) health.setServing(false)
      log.info('drain_started', { drainDelayMs, drainTimeoutMs })
      await new Promise<void>((resolve) => void clock.after(drainDelayMs, resolve))
      await server.drain(drainTimeoutMs)
      await close()
    },
    async stop() {
      isReady = false
      await server.stop()
      await close()
    },
  }
}
