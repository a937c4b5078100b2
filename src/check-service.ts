/**
 * What answers Checks in one process: the gRPC server, the graph of the newest configuration behind one reference, and
 * what outlives a reload (metrics, memory, log of decisions). Who loads the configuration is not its concern.
 */
import type { Clock } from './authz/ports.ts'
import type { Config } from './config/config.ts'
import { buildGraph, type GivenToWorker, type Graph, urlOf } from './graph.ts'
import { createGrpcServer, type GrpcServer } from './server/grpc.ts'
import { createHealth, type HealthService } from './server/health.ts'
import type { ServerTls } from './server/server-tls.ts'
import type { Status } from './server/status.ts'
import { createDecisionLog, type DecisionLog } from './telemetry/decision-log.ts'
import type { LeveledLog } from './telemetry/log.ts'
import type { Metrics } from './telemetry/metrics.ts'
import { VERSION } from './telemetry/version.ts'

export interface CheckService {
  readonly server: GrpcServer
  readonly health: HealthService
  readonly decisions: DecisionLog
  graph(): Graph
  /**
   * Puts another configuration and the listeners' certificates in force; calls under way keep the old graph.
   * Throws where one of them cannot be used: nothing has changed then.
   */
  swap(next: Config, tls: ServerTls | undefined, given?: GivenToWorker): void
  /** Its own figures; what the process knows besides is handed in. */
  status(known: Pick<Status, 'ready' | 'startedAt' | 'configLoadedAt' | 'restartRequired'>): Status
  /** After the server has closed. */
  close(): void
}

export interface CheckServiceDependencies {
  readonly clock: Clock
  readonly metrics: Metrics
  readonly log: LeveledLog
  /** Of the first configuration. */
  readonly given?: GivenToWorker | undefined
  /** Begins the ids of its decisions; undefined: random. */
  readonly decisionIdPrefix?: string | undefined
}

/** Throws ConfigurationError where a file of the key manager's TLS cannot be read. */
export function createCheckService(config: Config, dependencies: CheckServiceDependencies): CheckService {
  const { clock, metrics, log } = dependencies
  const decisions = createDecisionLog(config.log, { log, clock })
  const health = createHealth()
  let graph = buildGraph(config, undefined, dependencies)
  graph.client.takeOver()
  metrics.cacheEntries(() => graph.memory.active.size() + graph.memory.inactive.size())
  const pipeline = () => graph.pipeline
  const { decisionIdPrefix } = dependencies
  const server = createGrpcServer({ pipeline, health, clock, metrics, decisions, log, decisionIdPrefix })

  /** Checks the pair before it takes it: where that fails, nothing of the new graph may be left over. */
  function renewTls(tls: ServerTls | undefined, built: Graph): void {
    if (tls === undefined) return
    try {
      server.renewTls(tls)
    } catch (error) {
      void built.client.close(graph.client)
      throw error
    }
  }

  return {
    server,
    health,
    decisions,
    graph: () => graph,
    swap(next, tls, given) {
      const before = graph
      const built = buildGraph(next, before, { clock, metrics, log, given })
      renewTls(tls, built)
      graph = built
      before.retire()
      built.client.takeOver(before.client)
      log.setLevel(next.log.level)
      decisions.configure(next.log)
      // Calls under way keep the old graph; its connections close behind them.
      void before.client.close(built.client)
    },
    status: (known) => ({
      version: VERSION,
      ...known,
      checksInFlight: server.inFlight(),
      keyManager: { url: urlOf(graph.config), ...graph.client.status() },
      cache: {
        active: graph.memory.active.size(),
        inactive: graph.memory.inactive.size(),
        activeCapacity: graph.config.caching.tokenCacheCapacity,
        inactiveCapacity: graph.config.caching.inactiveCapacity,
      },
      totals: metrics.totals(),
    }),
    close() {
      decisions.flush()
      // Not waited for: a call to a key manager that hangs lasts up to `keyManager.timeout`, and nobody wants its answer.
      void graph.client.close()
      health.close()
    },
  }
}
