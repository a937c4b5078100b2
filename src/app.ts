/**
 * Composition root: Config -> objects -> {start, stop, reload}. The only file that knows every concrete type.
 * What outlives a reload (listeners, metrics, log, memory) is built once; the rest is a graph behind one reference.
 */
import { isDeepStrictEqual } from 'node:util'
import { createAnswers } from './authz/answers.ts'
import { createAuthorizer } from './authz/authorizer.ts'
import type {
  AnswerCache,
  Authorizer,
  CacheMetrics,
  CheckView,
  Clock,
  Decision,
  Introspector,
  Log,
} from './authz/ports.ts'
import { type AnswerMemory, createAnswerCache, createAnswerMemory } from './cache/answer-cache.ts'
import { createAnswerKey } from './cache/answer-key.ts'
import { systemClock } from './clock.ts'
import type { Config, Loaded } from './config/config.ts'
import { ConfigurationError } from './config/configuration-error.ts'
import { loadConfig } from './config/load.ts'
import { watchFiles } from './config/watch.ts'
import { createCheckDecoder } from './envoy/check-request.ts'
import { createReplyEncoder } from './envoy/check-response.ts'
import { clientIdentity, createKeyManager, type KeyManager } from './keymanager/key-manager.ts'
import { startAdmin } from './server/admin.ts'
import { announceConfiguration, announceKeyManager } from './server/announce.ts'
import { createGrpcServer } from './server/grpc.ts'
import { createHealth } from './server/health.ts'
import { needsRestart, readServerTls } from './server/listeners.ts'
import type { Pipeline } from './server/pipeline.ts'
import type { ServerTls } from './server/server-tls.ts'
import type { Status } from './server/status.ts'
import { createDecisionLog } from './telemetry/decision-log.ts'
import type { ReloadOutcome } from './telemetry/label-sets.ts'
import { createLog } from './telemetry/log.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'
import { VERSION } from './telemetry/version.ts'

export interface AppOptions {
  /** Undefined: /etc/micro-gw-authz/micro-gw.conf. */
  readonly configFile: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  /** Dotted key path to value; stronger than environment and file. */
  readonly flags?: Readonly<Record<string, string>>
  readonly clock?: Clock
  /** Takes one log line, newline included. */
  readonly writeLog: (line: string) => void
}

export interface App {
  readonly addresses: {
    readonly extAuthz: readonly string[]
    readonly admin: string
    readonly localAdmin: string | undefined
  }
  /** Builds a new graph and swaps one reference; a broken file keeps the old one. Never rejects. */
  reload(): Promise<ReloadOutcome>
  /** Readiness fails, `drainDelay` passes, what is in flight finishes within `drainTimeout`; then everything is closed. */
  drain(): Promise<void>
  /** At once. */
  stop(): Promise<void>
}

/** One configuration's objects. */
interface Graph {
  readonly config: Config
  readonly client: KeyManager
  readonly memory: AnswerMemory
  readonly pipeline: Pipeline
}

/** Rejects with ConfigurationError, or with an Error that names the address that cannot be bound. */
export async function startApp(options: AppOptions): Promise<App> {
  const clock = options.clock ?? systemClock
  const load = (): Loaded =>
    loadConfig({
      file: options.configFile,
      env: options.env,
      ...(options.flags === undefined ? {} : { flags: options.flags }),
    })
  const loaded = load()
  if (!loaded.ok) throw new ConfigurationError(loaded.problems)
  const bound = loaded.config

  const log = createLog({ level: loaded.config.log.level, write: options.writeLog, clock })
  const metrics = createMetrics()
  const decisions = createDecisionLog(loaded.config.log, { log, clock })
  const health = createHealth()
  announceConfiguration(loaded.config, loaded.problems, log)

  let graph = buildGraph(loaded.config, undefined, { clock, metrics, log })
  let isReady = false
  let restartRequired = false
  const startedAt = new Date(clock.wallMs()).toISOString()
  let loadedAt = startedAt
  metrics.cacheEntries(() => graph.memory.active.size() + graph.memory.inactive.size())
  metrics.configLoaded(clock.wallMs())

  const server = createGrpcServer({ pipeline: () => graph.pipeline, health, clock, metrics, decisions, log })
  const admin = await startAdmin({
    listen: loaded.config.admin.listen,
    localListen: loaded.config.admin.localListen,
    metrics,
    metricsEnabled: () => graph.config.admin.metrics,
    ready: () => isReady,
    config: () => graph.config,
    status,
    decisions,
  })
  const extAuthz = await bindAll(loaded.config).catch(async (error: unknown) => {
    await Promise.all([server.stop(), admin.close(), graph.client.close()])
    throw error
  })
  isReady = true
  health.setServing(true)
  log.info('started', { version: VERSION, extAuthz, admin: admin.address, localAdmin: admin.localAddress })
  announceKeyManager(graph.config, graph.client, log)
  let unwatch = watchFiles(loaded.files, () => void reload(), clock)

  function status(): Status {
    return {
      version: VERSION,
      ready: isReady,
      startedAt,
      configLoadedAt: loadedAt,
      restartRequired,
      checksInFlight: server.inFlight(),
      keyManager: { url: urlOf(graph.config), ...graph.client.status() },
      cache: {
        active: graph.memory.active.size(),
        inactive: graph.memory.inactive.size(),
        activeCapacity: graph.config.caching.tokenCacheCapacity,
        inactiveCapacity: graph.config.caching.inactiveCapacity,
      },
      totals: metrics.totals(),
    }
  }

  async function bindAll(config: Config): Promise<readonly string[]> {
    const tls = readServerTls(config)
    const bound: string[] = []
    for (const listen of config.extAuthz.listen) {
      bound.push(await server.bind(listen, { socketMode: config.extAuthz.socketMode, tls }))
    }
    return bound
  }

  /** Checks the pair before it takes it: where that fails, nothing of the new graph may be left over. */
  function renewTls(tls: ServerTls | undefined, built: Graph): void {
    if (tls === undefined) return
    try {
      server.renewTls(tls)
    } catch (error) {
      void built.client.close(built.client.ownToken === graph.client.ownToken)
      throw error
    }
  }

  async function reload(): Promise<ReloadOutcome> {
    const outcome = swap()
    metrics.reload(outcome, clock.wallMs())
    return outcome
  }

  function swap(): ReloadOutcome {
    try {
      const next = load()
      if (!next.ok) throw new ConfigurationError(next.problems)
      const before = graph
      const tls = readServerTls(next.config)
      const built = buildGraph(next.config, before, { clock, metrics, log })
      renewTls(tls, built)
      graph = built
      built.client.takeOver()
      log.setLevel(next.config.log.level)
      decisions.configure(next.config.log)
      restartRequired = needsRestart(bound, next.config)
      loadedAt = new Date(clock.wallMs()).toISOString()
      unwatch()
      unwatch = watchFiles(next.files, () => void reload(), clock)
      // Calls under way keep the old graph; its connections close behind them.
      void before.client.close(built.client.ownToken === before.client.ownToken)
      announceConfiguration(next.config, next.problems, log)
      log.info('config_reloaded', { restartRequired })
      announceKeyManager(built.config, built.client, log)
      return restartRequired ? 'restart_required' : 'success'
    } catch (error) {
      const problems = error instanceof ConfigurationError ? error.problems : undefined
      log.error('config_reload_failed', {
        problems: problems?.filter((problem) => problem.severity === 'error'),
        // What is not ours is named, never quoted: a foreign text may hold a secret.
        error: problems === undefined && error instanceof Error ? error.name : undefined,
        note: 'the old configuration stays in force',
      })
      return 'failure'
    }
  }

  async function close(): Promise<void> {
    unwatch()
    decisions.flush()
    // Not waited for: a call to a key manager that hangs lasts up to `keyManager.timeout`, and nobody wants its answer.
    void graph.client.close()
    await admin.close()
    health.close()
  }

  return {
    addresses: { extAuthz, admin: admin.address, localAdmin: admin.localAddress },
    reload,
    async drain() {
      isReady = false
      const { drainDelayMs, drainTimeoutMs, drainHealth } = graph.config.extAuthz
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

interface Shared {
  readonly clock: Clock
  readonly metrics: Metrics
  readonly log: Log
}

function buildGraph(config: Config, before: Graph | undefined, { clock, metrics, log }: Shared): Graph {
  const client = createClient(config, { clock, metrics, log }, before?.client)
  // Remembered answers outlive a reload that changes neither who is asked nor for how long an answer is good.
  const memory =
    before !== undefined &&
    isDeepStrictEqual(before.config.caching, config.caching) &&
    isDeepStrictEqual(before.config.keyManager, config.keyManager)
      ? before.memory
      : createAnswerMemory({
          capacity: config.caching.tokenCacheCapacity,
          inactiveCapacity: config.caching.inactiveCapacity,
        })
  const encoder = createReplyEncoder({
    realm: config.extAuthz.realm,
    resourceMetadata: config.extAuthz.resourceMetadata,
    unavailable: config.extAuthz.unavailable,
    credentials: config.credentials,
    upstreamHeaders: config.upstreamHeaders,
    managedHeaders: config.managedHeaders,
    metadataClaims: config.metadata.claims,
  })
  const cache = createAnswerCache(memory, { clock, metrics })
  return {
    config,
    client,
    memory,
    pipeline: {
      decode: createCheckDecoder({ credentialsHeader: config.credentials.header }),
      authorizer: authorizerOf(config, { introspector: client, cache, clock, metrics }),
      encode: (decision, decisionId) => encoder.encode(decision, decisionId),
      timeoutMs: config.keyManager.timeoutMs,
      unavailable: config.extAuthz.unavailable,
    },
  }
}

/** What the operator knows it by: the introspection endpoint, or the metadata that names it. */
function urlOf({ keyManager }: Config): string {
  return keyManager.introspectUrl ?? keyManager.discoveryUrl ?? ''
}

function createClient(config: Config, shared: Shared, before: KeyManager | undefined): KeyManager {
  try {
    return createKeyManager(config.keyManager, shared, before)
  } catch (error) {
    // It throws for files of keyManager.tls alone, in our own words.
    const message = error instanceof Error ? error.message : 'cannot be used'
    throw ConfigurationError.of('keyManager.tls', message)
  }
}

function authorizerOf(
  config: Config,
  parts: {
    readonly introspector: Introspector
    readonly cache: AnswerCache
    readonly clock: Clock
    readonly metrics: CacheMetrics
  },
): Authorizer {
  const { clock } = parts
  const { caching, keyManager } = config
  const answers = createAnswers(parts, {
    activeLifeMs: caching.enabled ? caching.tokenCacheExpiryMs : 0,
    inactiveLifeMs: caching.enabled ? caching.inactiveExpiryMs : 0,
    timestampSkewMs: keyManager.timestampSkewMs,
  })
  const keyOf = createAnswerKey({
    keyManager: keyManager.name,
    introspectUrl: urlOf(config),
    clientIdentity: clientIdentity(keyManager),
  })
  return createAuthorizer(
    { answers, clock, keyOf },
    {
      policy: config.policy,
      allowCorsPreflight: config.extAuthz.allowCorsPreflight,
      timestampSkewMs: keyManager.timestampSkewMs,
    },
  )
}

/** One decision with nothing remembered: what `micro-gw-authz introspect` explains. */
export async function decideOnce(
  config: Config,
  { introspector, clock }: { readonly introspector: Introspector; readonly clock: Clock },
  check: CheckView,
): Promise<Decision> {
  const cache: AnswerCache = { peek: () => undefined, load: undefined, remember() {} }
  const metrics: CacheMetrics = { cacheOperation() {}, waiterJoined() {} }
  const authorizer = authorizerOf(config, { introspector, cache, clock, metrics })
  const deadlineMs = clock.monotonicMs() + config.keyManager.timeoutMs
  return await authorizer.authorize(check, deadlineMs, { cancelled: false, whenCancelled: undefined })
}
