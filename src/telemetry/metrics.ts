/**
 * Prometheus metrics, product contract section 7. The only file that knows prom-client.
 * Label sets are closed: never a token, subject, client, path or host.
 */
import {
  AggregatorRegistry,
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type HistogramConfiguration,
  Registry,
} from 'prom-client'
import type { CacheMetrics, CacheResult, IntrospectionMetrics, OwnTokenMetrics, Reason } from '../authz/ports.ts'
import {
  ALLOW_REASONS,
  BREAKER_STATES,
  type BreakerState,
  CACHE_RESULTS,
  DENY_REASONS,
  MEMORY_OPERATIONS,
  OUTCOMES,
  RELOAD_OUTCOMES,
  RENEWAL_GRANTS,
  RENEWAL_OUTCOMES,
  type ReloadOutcome,
  RULE_REASONS,
} from './label-sets.ts'
import { VERSION } from './version.ts'

/** Counts since the start, for the status page; zeros left out of `denied` and `introspections`. */
export interface Totals {
  /** Checks by decision, as `microgw_checks_total` has them. */
  readonly checks: Readonly<Record<'allow' | 'deny' | 'error', number>>
  /** Refused Checks by reason, those answered with an `error_response` included. */
  readonly denied: Readonly<Record<string, number>>
  /** By outcome. */
  readonly introspections: Readonly<Record<string, number>>
  /** Look-ups in memory. */
  readonly lookups: { readonly hit: number; readonly miss: number }
}

/** Metrics of one process with their values; plain data. */
export type Snapshot = readonly object[]

export interface Metrics extends IntrospectionMetrics, OwnTokenMetrics, CacheMetrics {
  /** Once per Check. `error`: an `error_response` was sent. */
  check(decision: 'allow' | 'deny' | 'error', reason: Reason, cache: CacheResult, seconds: number): void
  /** A rule with `enforce = false` would have denied. */
  wouldDeny(reason: Reason): void
  /** Besides `check`: its caller left before the answer. */
  checkCancelled(): void
  checksInFlight(delta: 1 | -1): void
  /** `count` is called at each scrape; the last one given counts. */
  cacheEntries(count: () => number): void
  /** Counts one reload; where it succeeded `wallMs` becomes the time of the configuration in force. */
  reload(outcome: ReloadOutcome, wallMs: number): void
  /** A configuration was put in force: at the start, or by a reload that may leave something to a restart. */
  configLoaded(wallMs: number): void
  /** `count`, of this process since its start, is called at each scrape. */
  logLinesLost(count: () => number): void
  exposition(): Promise<{ readonly contentType: string; readonly body: string }>
  totals(): Totals
  /** All metrics with their values, for merging with those of other processes; plain data. */
  snapshot(): Promise<Snapshot>
}

/** The reasons that `extAuthz.unavailable = "error"` answers with an `error_response`. */
const FAILED_REASONS: readonly string[] = ['key_manager_unavailable', 'overloaded']

const BUCKETS_SECONDS = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

/** A count in a plain number, handed over at a scrape: prom-client builds a string of the labels at each `inc`. */
interface Tally {
  count: number
}

/** A counter of tallies; the function returned is called once for a set of labels. */
function createTalliedCounter<Label extends string>(settings: {
  readonly name: string
  readonly help: string
  readonly labelNames: readonly Label[]
  readonly registers: Registry[]
}): (labels: Readonly<Record<Label, string>>) => Tally {
  const tallies: { readonly labels: Readonly<Record<Label, string>>; readonly tally: Tally }[] = []
  new Counter({
    ...settings,
    collect() {
      this.reset()
      for (const { labels, tally } of tallies) this.inc(labels, tally.count)
    },
  })
  return (labels) => {
    const tally: Tally = { count: 0 }
    tallies.push({ labels, tally })
    return tally
  }
}

/** What was observed under one set of labels. */
class Observations {
  sum = 0
  /** Above one bound and at or below the next; the last: above them all. */
  readonly between: number[] = [...BUCKETS_SECONDS, 0].fill(0)

  observe(seconds: number): void {
    this.sum += seconds
    let at = 0
    while (at < BUCKETS_SECONDS.length && seconds > (BUCKETS_SECONDS[at] ?? 0)) at += 1
    this.between[at] = (this.between[at] ?? 0) + 1
  }
}

/** A histogram that exports observations counted in plain numbers: prom-client takes them only one by one. */
class TalliedHistogram extends Histogram {
  private readonly settings: HistogramConfiguration<string>
  private readonly observed: { readonly labels: Readonly<Record<string, string>>; readonly of: Observations }[] = []

  constructor(settings: HistogramConfiguration<string>) {
    super({ ...settings, buckets: BUCKETS_SECONDS })
    this.settings = settings
  }

  /** Called once for a set of labels; all buckets start at 0. */
  tally(labels: Readonly<Record<string, string>>): Observations {
    const of = new Observations()
    this.observed.push({ labels, of })
    return of
  }

  /** What prom-client 15 reads its own values from, for the exposition and for `get()`. */
  async getForPromString(): Promise<object> {
    const { name, help } = this.settings
    const values = this.observed.flatMap(({ labels, of }) => valuesOf(name, labels, of))
    return { name, help, type: 'histogram', aggregator: 'sum', values }
  }
}

function valuesOf(name: string, labels: Readonly<Record<string, string>>, { between, sum }: Observations): object[] {
  let count = 0
  const buckets = between.map((seen, at) => {
    count += seen
    return {
      metricName: `${name}_bucket`,
      labels: { le: BUCKETS_SECONDS[at] ?? '+Inf' },
      sharedLabels: labels,
      value: count,
    }
  })
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels: {}, sharedLabels: labels, value: sum },
    { metricName: `${name}_count`, labels: {}, sharedLabels: labels, value: count },
  ]
}

/** Binds one label value to a child, once. */
function children<Child>(bind: (value: string) => Child): (value: string) => Child {
  const bound = new Map<string, Child>()
  return (value) => {
    let child = bound.get(value)
    if (child === undefined) {
      child = bind(value)
      bound.set(value, child)
    }
    return child
  }
}

function sumOf(values: readonly string[], tallyOf: (value: string) => Tally): number {
  return values.reduce((sum, value) => sum + tallyOf(value).count, 0)
}

function countsOf(values: readonly string[], countOf: (value: string) => number): Readonly<Record<string, number>> {
  return Object.fromEntries(values.map((value) => [value, countOf(value)] as const).filter(([, count]) => count > 0))
}

/** A registry of its own, so that two servers in one process (tests) never share figures. */
export function createMetrics(): Metrics {
  const register = new Registry()
  const registers = [register]

  new Gauge({
    name: 'microgw_build_info',
    help: 'Always 1; which version runs on which Node.',
    labelNames: ['version', 'node'],
    registers,
    aggregator: 'first',
  }).set({ version: VERSION, node: process.version }, 1)

  const checks = createTalliedCounter({
    name: 'microgw_checks_total',
    help: 'Checks answered, by decision (error: an error_response was sent) and reason.',
    labelNames: ['decision', 'reason'],
    registers,
  })
  const checksAllowed = children((reason) => checks({ decision: 'allow', reason }))
  const checksDenied = children((reason) => checks({ decision: 'deny', reason }))
  const checksFailed = children((reason) => checks({ decision: 'error', reason }))
  // Known label sets start at 0.
  Object.keys(ALLOW_REASONS).forEach(checksAllowed)
  Object.keys(DENY_REASONS).forEach(checksDenied)
  FAILED_REASONS.forEach(checksFailed)
  const checksBy = { allow: checksAllowed, deny: checksDenied, error: checksFailed }

  const wouldDeny = new Counter({
    name: 'microgw_policy_would_deny_total',
    help: 'Allowed Checks that a rule with enforce = false would have denied, by reason.',
    labelNames: ['reason'],
    registers,
  })
  for (const reason of RULE_REASONS) wouldDeny.inc({ reason }, 0)

  const durations = new TalliedHistogram({
    name: 'microgw_check_duration_seconds',
    help: 'Time from reading a Check to its answer, by where the introspection answer came from.',
    labelNames: ['cache'],
    registers,
  })
  const durationBy = children((cache) => durations.tally({ cache }))
  Object.keys(CACHE_RESULTS).forEach(durationBy)

  const cancelled = new Counter({
    name: 'microgw_checks_cancelled_total',
    help: 'Checks whose caller left before their answer; they count as denied with key_manager_unavailable too.',
    registers,
  })

  const inFlight = new Gauge({
    name: 'microgw_checks_in_flight',
    help: 'Checks waiting for an answer.',
    registers,
  })

  const introspections = createTalliedCounter({
    name: 'microgw_introspections_total',
    help: 'Introspections, by outcome (rejected: no call was made).',
    labelNames: ['outcome'],
    registers,
  })
  const introspectionsBy = children((outcome) => introspections({ outcome }))
  Object.keys(OUTCOMES).forEach(introspectionsBy)
  const introspectionDuration = new TalliedHistogram({
    name: 'microgw_introspection_duration_seconds',
    help: 'Time of one call to the key manager.',
    registers,
  }).tally({})
  const introspectionsInFlight = new Gauge({
    name: 'microgw_introspections_in_flight',
    help: 'Calls to the key manager under way.',
    registers,
  })
  const waiters = new Counter({
    name: 'microgw_introspection_waiters_total',
    help: 'Checks that joined an introspection already under way.',
    registers,
  })

  const operations = createTalliedCounter({
    name: 'microgw_cache_operations_total',
    help: 'Cache operations, by store, operation and result.',
    labelNames: ['store', 'operation', 'result'],
    registers,
  })
  const operationsBy = children((store) =>
    children((operation) => children((result) => operations({ store, operation, result }))),
  )
  for (const [operation, result] of MEMORY_OPERATIONS) operationsBy('memory')(operation)(result)

  let countEntries: () => number = () => 0
  new Gauge({
    name: 'microgw_cache_entries',
    help: 'Answers held, by store.',
    labelNames: ['store'],
    registers,
    collect() {
      this.set({ store: 'memory' }, countEntries())
    },
  })

  const renewals = new Counter({
    name: 'microgw_own_token_renewals_total',
    help: 'Requests for the own token, by grant and outcome (direct, rejected: the configured token was refused).',
    labelNames: ['grant', 'outcome'],
    registers,
  })
  for (const grant of Object.keys(RENEWAL_GRANTS))
    for (const outcome of Object.keys(RENEWAL_OUTCOMES)) renewals.inc({ grant, outcome }, 0)
  const ownTokenExpiry = new Gauge({
    name: 'microgw_own_token_expiry_timestamp_seconds',
    help: 'When the own token expires, seconds since the epoch; 0: none is held, or it does not expire.',
    registers,
    aggregator: 'max',
  })

  const breaker = new Gauge({
    name: 'microgw_breaker_state',
    help: '1 for the state the circuit breaker to the key manager is in.',
    labelNames: ['state'],
    registers,
  })
  function setBreaker(current: BreakerState): void {
    for (const state of Object.keys(BREAKER_STATES)) breaker.set({ state }, state === current ? 1 : 0)
  }
  setBreaker('closed')

  const reloads = new Counter({
    name: 'microgw_config_reloads_total',
    help: 'Reloads of the configuration, by outcome.',
    labelNames: ['outcome'],
    registers,
  })
  for (const outcome of Object.keys(RELOAD_OUTCOMES)) reloads.inc({ outcome }, 0)
  const lastReload = new Gauge({
    name: 'microgw_config_last_reload_success_timestamp_seconds',
    help: 'When the configuration in force was loaded, seconds since the epoch.',
    registers,
    aggregator: 'max',
  })

  let countLinesLost: () => number = () => 0
  new Counter({
    name: 'microgw_log_lines_lost_total',
    help: 'Log lines dropped because nobody took them, or they could not be written.',
    registers,
    collect() {
      this.reset()
      this.inc(countLinesLost())
    },
  })

  collectDefaultMetrics({ register })

  return {
    check(decision, reason, cache, seconds) {
      checksBy[decision](reason).count += 1
      durationBy(cache).observe(seconds)
    },
    wouldDeny: (reason) => wouldDeny.inc({ reason }),
    checkCancelled: () => cancelled.inc(),
    checksInFlight: (delta) => inFlight.inc(delta),
    introspection(outcome, seconds) {
      introspectionsBy(outcome).count += 1
      if (seconds !== undefined) introspectionDuration.observe(seconds)
    },
    introspectionsInFlight: (delta) => introspectionsInFlight.inc(delta),
    breaker: setBreaker,
    ownTokenRenewal: (grant, outcome) => renewals.inc({ grant, outcome }),
    ownTokenExpiresAt: (wallMs) => ownTokenExpiry.set((wallMs ?? 0) / 1000),
    cacheOperation(store, operation, result) {
      operationsBy(store)(operation)(result).count += 1
    },
    waiterJoined: () => waiters.inc(),
    cacheEntries(count) {
      countEntries = count
    },
    reload(outcome, wallMs) {
      reloads.inc({ outcome })
      if (outcome === 'success') lastReload.set(wallMs / 1000)
    },
    configLoaded: (wallMs) => lastReload.set(wallMs / 1000),
    logLinesLost(count) {
      countLinesLost = count
    },
    totals() {
      const lookup = operationsBy('memory')('get')
      return {
        checks: {
          allow: sumOf(Object.keys(ALLOW_REASONS), checksAllowed),
          deny: sumOf(Object.keys(DENY_REASONS), checksDenied),
          error: sumOf(FAILED_REASONS, checksFailed),
        },
        denied: countsOf(Object.keys(DENY_REASONS), (reason) =>
          FAILED_REASONS.includes(reason)
            ? checksDenied(reason).count + checksFailed(reason).count
            : checksDenied(reason).count,
        ),
        introspections: countsOf(Object.keys(OUTCOMES), (outcome) => introspectionsBy(outcome).count),
        lookups: { hit: lookup('hit').count, miss: lookup('miss').count },
      }
    },
    exposition: async () => ({ contentType: register.contentType, body: await register.metrics() }),
    snapshot: () => register.getMetricsAsJSON(),
  }
}

/** Metrics of the process above several workers: its own, and all of them as one. */
export interface PrimaryMetrics extends Metrics {
  workerLost(reason: WorkerLoss): void
  /** `count` is called at each scrape. */
  workersServing(count: () => number): void
  /** What a worker that is no more had counted goes on counting: a counter never goes down. */
  retire(last: Snapshot): void
  /** `workers`: the newest snapshot of each that runs. */
  merged(workers: readonly Snapshot[]): Promise<{ readonly contentType: string; readonly body: string }>
}

export type WorkerLoss = 'crashed' | 'stuck'

const WORKER_LOSSES = { crashed: 0, stuck: 0 } satisfies Record<WorkerLoss, 0>

export function createPrimaryMetrics(): PrimaryMetrics {
  const metrics = createMetrics()
  const register = new Registry()
  const registers = [register]
  const losses = new Counter({
    name: 'microgw_worker_restarts_total',
    help: 'Workers that ended or hung and were replaced, by reason.',
    labelNames: ['reason'],
    registers,
  })
  for (const reason of Object.keys(WORKER_LOSSES)) losses.inc({ reason }, 0)
  let countServing: () => number = () => 0
  new Gauge({
    name: 'microgw_workers',
    help: 'Workers that serve.',
    registers,
    collect() {
      this.set(countServing())
    },
  })
  /** Folded into one at each end. */
  let retired: Snapshot = []

  return {
    ...metrics,
    workerLost: (reason) => losses.inc({ reason }),
    workersServing(count) {
      countServing = count
    },
    retire(last) {
      const counted = last.filter((metric) => ['counter', 'histogram'].includes(memberOf(metric, 'type')))
      retired = AggregatorRegistry.aggregate([retired, counted]).getMetricsAsArray()
    },
    async merged(workers) {
      const own = [...(await metrics.snapshot()).flatMap(ofPrimary), ...(await register.getMetricsAsJSON())]
      const all = AggregatorRegistry.aggregate([own, ...workers, retired])
      return { contentType: all.contentType, body: await all.metrics() }
    },
  }
}

/** The primary answers no Checks: what its event loop and breaker do would only dilute what the workers' say. */
function ofPrimary(metric: object): object[] {
  const name = memberOf(metric, 'name')
  if (name === 'microgw_breaker_state' || name.startsWith('nodejs_eventloop_lag')) return []
  return name === 'process_start_time_seconds' ? [{ ...metric, aggregator: 'first' }] : [metric]
}

function memberOf(metric: object, name: 'name' | 'type'): string {
  return name in metric ? String(metric[name as keyof typeof metric]) : ''
}
