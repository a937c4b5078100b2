/** What an operator sees of several workers: one set of metrics, one status, one list of decisions. */
import type { Config } from '../config/config.ts'
import type { KeyManager } from '../keymanager/key-manager.ts'
import type { AdminDecisions, AdminMetrics } from '../server/admin.ts'
import { mergeStatus, type Status, sumTotals, type WorkerStatus } from '../server/status.ts'
import type { PrimaryMetrics, Snapshot, Totals } from '../telemetry/metrics.ts'
import { VERSION } from '../telemetry/version.ts'
import type { Pool } from './pool.ts'
import type { WorkerProcess } from './worker-process.ts'

/** As many as one process remembers. */
const DECISIONS = 200

export interface MergedView extends AdminMetrics {
  readonly decisions: AdminDecisions
  status(): Promise<Status>
  /** This worker is no more: what it counted stays counted. */
  forget(process: WorkerProcess): void
}

export interface OwnStatus {
  readonly ready: boolean
  readonly startedAt: string
  readonly configLoadedAt: string
  readonly restartRequired: boolean
  readonly config: Config
  readonly keyManager: ReturnType<KeyManager['status']>
  readonly totals: Totals
}

/** Nothing here waits for a worker longer than it may take to answer: its last known figures stand in for it. */
export function createMergedView({
  pool,
  metrics,
  ownStatus,
}: {
  readonly pool: Pool
  readonly metrics: PrimaryMetrics
  readonly ownStatus: () => OwnStatus
}): MergedView {
  const snapshots = new Map<WorkerProcess, Snapshot>()
  const statuses = new Map<WorkerProcess, Status>()
  /** What workers that are no more had counted. */
  let retired: readonly Totals[] = []

  /** What it says now is kept; false where it does not answer. */
  async function askStatus(process: WorkerProcess): Promise<boolean> {
    const status = await process.ask('status')
    if (status !== undefined && isMember(process)) statuses.set(process, status)
    return status !== undefined
  }

  async function statusOfWorkers(): Promise<readonly WorkerStatus[]> {
    const answered = new Set<WorkerProcess>()
    await Promise.all(
      pool.members().map(async ({ process }) => {
        if (await askStatus(process)) answered.add(process)
      }),
    )
    // Those of now: what one that has ended meanwhile said is among the retired.
    return pool.members().flatMap(({ worker, process, restarts }): WorkerStatus[] => {
      const status = statuses.get(process)
      const { pid, connections } = process
      return status === undefined
        ? []
        : [{ worker, pid, restarts, connections, answers: answered.has(process), status }]
    })
  }

  return {
    async exposition() {
      await Promise.all(
        pool.members().map(async ({ process }) => {
          // Both: where it ends, status and metrics remember the same of it.
          const [snapshot] = await Promise.all([process.ask('metrics'), askStatus(process)])
          if (snapshot !== undefined && isMember(process)) snapshots.set(process, snapshot)
        }),
      )
      return metrics.merged([...snapshots.values()])
    },
    async status() {
      const workers = await statusOfWorkers()
      const { ready, startedAt, configLoadedAt, restartRequired, config, keyManager, totals } = ownStatus()
      const url = config.keyManager.introspectUrl ?? config.keyManager.discoveryUrl ?? ''
      const [first, ...others] = workers
      const merged =
        first === undefined
          ? { keyManager: { url, ...keyManager }, checksInFlight: 0, cache: NO_CACHE, workers }
          : mergeStatus([first, ...others])
      return {
        ...merged,
        version: VERSION,
        ready,
        startedAt,
        configLoadedAt,
        restartRequired,
        keyManager: { ...merged.keyManager, ownToken: keyManager.ownToken },
        // Those that have ended in a drain among them.
        totals: sumTotals([totals, ...retired, ...[...statuses.values()].map((one) => one.totals)]),
      }
    },
    decisions: {
      async recent() {
        const all = await Promise.all(pool.members().map(async ({ process }) => (await process.ask('decisions')) ?? []))
        return all
          .flat()
          .toSorted((a, b) => (a.time < b.time ? 1 : a.time > b.time ? -1 : 0))
          .slice(0, DECISIONS)
      },
      async find(decisionId) {
        const all = await Promise.all(pool.members().map(({ process }) => process.ask('decision', decisionId)))
        return all.find((entry) => entry !== undefined)
      },
    },
    forget(process) {
      const snapshot = snapshots.get(process)
      const status = statuses.get(process)
      snapshots.delete(process)
      statuses.delete(process)
      if (snapshot !== undefined) metrics.retire(snapshot)
      if (status !== undefined) retired = [sumTotals([...retired, status.totals])]
    },
  }

  function isMember(process: WorkerProcess): boolean {
    return pool.members().some((member) => member.process === process)
  }
}

const NO_CACHE: Status['cache'] = { active: 0, inactive: 0, activeCapacity: 0, inactiveCapacity: 0 }
