/** What an operator sees of several workers: one set of metrics, one status, one list of decisions. */
import type { Config } from '../config/config.ts'
import type { KeyManager } from '../keymanager/key-manager.ts'
import type { AdminDecisions, AdminMetrics } from '../server/admin.ts'
import { mergeStatus, type Status, type WorkerStatus } from '../server/status.ts'
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

  async function statusOfWorkers(): Promise<readonly WorkerStatus[]> {
    const members = pool.members()
    const answers = await Promise.all(members.map(({ process }) => process.ask('status')))
    return members.flatMap(({ worker, process, restarts }, index): WorkerStatus[] => {
      const fresh = answers[index]
      if (fresh !== undefined) statuses.set(process, fresh)
      const status = fresh ?? statuses.get(process)
      const { pid, connections } = process
      return status === undefined ? [] : [{ worker, pid, restarts, connections, answers: fresh !== undefined, status }]
    })
  }

  return {
    async exposition() {
      const members = pool.members()
      await Promise.all(
        members.map(async ({ process }) => {
          const snapshot = await process.ask('metrics')
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
          ? { keyManager: { url, ...keyManager }, checksInFlight: 0, cache: NO_CACHE, totals, workers }
          : mergeStatus([first, ...others])
      return {
        ...merged,
        version: VERSION,
        ready,
        startedAt,
        configLoadedAt,
        restartRequired,
        keyManager: { ...merged.keyManager, ownToken: keyManager.ownToken },
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
      const last = snapshots.get(process)
      snapshots.delete(process)
      statuses.delete(process)
      if (last !== undefined) metrics.retire(last)
    },
  }

  function isMember(process: WorkerProcess): boolean {
    return pool.members().some((member) => member.process === process)
  }
}

const NO_CACHE: Status['cache'] = { active: 0, inactive: 0, activeCapacity: 0, inactiveCapacity: 0 }
