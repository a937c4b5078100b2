/** What `/status` and the status page say: of one process, or merged from several. */
import type { KeyManagerStatus } from '../keymanager/introspector.ts'
import type { OwnTokenStatus } from '../keymanager/own-token.ts'
import type { Totals } from '../telemetry/metrics.ts'

export interface Status {
  readonly version: string
  readonly ready: boolean
  /** ISO 8601, as every `...At`. */
  readonly startedAt: string
  readonly configLoadedAt: string
  readonly restartRequired: boolean
  readonly checksInFlight: number
  readonly keyManager: KeyManagerStatus & {
    readonly url: string
    /** Undefined: none is needed. */
    readonly ownToken: OwnTokenStatus | undefined
    /** Why discovery failed last; undefined: it did not, or is not used. */
    readonly discovery: string | undefined
  }
  readonly cache: {
    /** Answers held. */
    readonly active: number
    readonly inactive: number
    readonly activeCapacity: number
    readonly inactiveCapacity: number
  }
  readonly totals: Totals
  /** With `workers` above 1. */
  readonly workers?: readonly WorkerStatus[]
}

/** One process of several. */
export interface WorkerStatus {
  readonly pid: number
  /** From 1; a worker that replaces another has its number. */
  readonly worker?: number
  readonly restarts?: number
  /** Connections it serves. */
  readonly connections?: number
  /** False: it did not answer, `status` is the last that is known of it. */
  readonly answers?: boolean
  readonly status: Status
}

const TROUBLE_FIRST = ['open', 'half_open', 'closed'] as const
const OWN_TOKEN_TROUBLE_FIRST = ['failed', 'none', 'fetching', 'renewing', 'fresh'] as const

/** One status for all of them: counts are summed, and of states the one in most trouble counts. At least one worker. */
export function mergeStatus(workers: readonly [WorkerStatus, ...WorkerStatus[]]): Status {
  const [first] = workers
  const all = workers.map(({ status }) => status)
  const managers = all.map(({ keyManager }) => keyManager)
  const sum = (of: (status: Status) => number): number => all.reduce((total, status) => total + of(status), 0)
  const worst = managers.toSorted((a, b) => TROUBLE_FIRST.indexOf(a.breaker) - TROUBLE_FIRST.indexOf(b.breaker))[0]
  const ownTokens = managers.flatMap(({ ownToken }) => (ownToken === undefined ? [] : [ownToken]))
  return {
    version: first.status.version,
    ready: all.every(({ ready }) => ready),
    startedAt: earliest(all.map(({ startedAt }) => startedAt)) ?? first.status.startedAt,
    configLoadedAt: earliest(all.map(({ configLoadedAt }) => configLoadedAt)) ?? first.status.configLoadedAt,
    restartRequired: all.some(({ restartRequired }) => restartRequired),
    checksInFlight: sum(({ checksInFlight }) => checksInFlight),
    keyManager: {
      url: first.status.keyManager.url,
      breaker: worst?.breaker ?? 'closed',
      pausedForMs: worst?.pausedForMs,
      inFlight: sum(({ keyManager }) => keyManager.inFlight),
      waiting: sum(({ keyManager }) => keyManager.waiting),
      lastError: managers.find(({ lastError }) => lastError !== undefined)?.lastError,
      lastSuccess: latest(managers.map(({ lastSuccess }) => lastSuccess)),
      lastFailure: latest(managers.map(({ lastFailure }) => lastFailure)),
      ownToken: ownTokens.toSorted(
        (a, b) => OWN_TOKEN_TROUBLE_FIRST.indexOf(a.state) - OWN_TOKEN_TROUBLE_FIRST.indexOf(b.state),
      )[0],
      discovery: managers.find(({ discovery }) => discovery !== undefined)?.discovery,
    },
    cache: {
      active: sum(({ cache }) => cache.active),
      inactive: sum(({ cache }) => cache.inactive),
      activeCapacity: sum(({ cache }) => cache.activeCapacity),
      inactiveCapacity: sum(({ cache }) => cache.inactiveCapacity),
    },
    totals: sumTotals(all.map(({ totals }) => totals)),
    workers,
  }
}

export function sumTotals(all: readonly Totals[]): Totals {
  const sum = (of: (totals: Totals) => number): number => all.reduce((total, totals) => total + of(totals), 0)
  return {
    checks: {
      allow: sum(({ checks }) => checks.allow),
      deny: sum(({ checks }) => checks.deny),
      error: sum(({ checks }) => checks.error),
    },
    denied: sumByName(all.map(({ denied }) => denied)),
    introspections: sumByName(all.map(({ introspections }) => introspections)),
    lookups: { hit: sum(({ lookups }) => lookups.hit), miss: sum(({ lookups }) => lookups.miss) },
  }
}

/** ISO 8601 in UTC sorts as text. */
function earliest(instants: readonly string[]): string | undefined {
  return instants.toSorted()[0]
}

function latest<T extends { readonly at: string }>(times: readonly (T | undefined)[]): T | undefined {
  return times.filter((time) => time !== undefined).toSorted((a, b) => (a.at < b.at ? 1 : -1))[0]
}

function sumByName(counts: readonly Readonly<Record<string, number>>[]): Readonly<Record<string, number>> {
  const sums = new Map<string, number>()
  for (const [name, count] of counts.flatMap((one) => Object.entries(one)))
    sums.set(name, (sums.get(name) ?? 0) + count)
  return Object.fromEntries(sums)
}
