/**
 * Prometheus metrics, product contract section 7. The only file that knows prom-client.
 * Label sets are closed: never a token, subject, client, path or host.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type {
  AllowReason,
  CacheMetrics,
  CacheResult,
  DenyReason,
  IntrospectionMetrics,
  OwnTokenMetrics,
  Reason,
  UnavailableKind,
} from '../authz/ports.ts'
import { VERSION } from './version.ts'

export type ReloadOutcome = 'success' | 'failure' | 'restart_required'

export interface Metrics extends IntrospectionMetrics, OwnTokenMetrics, CacheMetrics {
  /** Once per Check. `error`: an `error_response` was sent. */
  check(decision: 'allow' | 'deny' | 'error', reason: Reason, cache: CacheResult, seconds: number): void
  /** A rule with `enforce = false` would have denied. */
  wouldDeny(reason: Reason): void
  checksInFlight(delta: 1 | -1): void
  /** `count` is called at each scrape; the last one given counts. */
  cacheEntries(count: () => number): void
  /** One reload; `wallMs` becomes the time of the last good configuration where it succeeded. */
  reload(outcome: ReloadOutcome, wallMs: number): void
  /** The configuration of the start, which is not counted as a reload. */
  configLoaded(wallMs: number): void
  exposition(): Promise<{ readonly contentType: string; readonly body: string }>
}

const BUCKETS_SECONDS = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

type IntrospectionOutcome = 'active' | 'inactive' | 'malformed' | UnavailableKind
type BreakerState = 'closed' | 'open' | 'half_open'

// Records rather than lists: the compiler asks for every member.
const ALLOW_REASONS = { allowed: 0, allowed_anonymous: 0, allowed_preflight: 0 } satisfies Record<AllowReason, 0>
const DENY_REASONS = {
  not_http: 0,
  malformed_request: 0,
  invalid_route_policy: 0,
  missing_credentials: 0,
  malformed_credentials: 0,
  inactive_token: 0,
  expired_token: 0,
  premature_token: 0,
  wrong_issuer: 0,
  wrong_audience: 0,
  not_an_access_token: 0,
  binding_failed: 0,
  insufficient_scope: 0,
  wrong_client: 0,
  missing_claim: 0,
  no_matching_rule: 0,
  insufficient_authentication: 0,
  ambiguous_path: 0,
  key_manager_unavailable: 0,
  overloaded: 0,
  internal_error: 0,
} satisfies Record<DenyReason, 0>
const RENEWAL_GRANTS = { client_credentials: 0, password: 0, refresh_token: 0, direct: 0 } satisfies Record<
  Parameters<OwnTokenMetrics['ownTokenRenewal']>[0],
  0
>
const RENEWAL_OUTCOMES = {
  success: 0,
  rejected: 0,
  malformed: 0,
  throttled: 0,
  server_error: 0,
  timeout: 0,
  network: 0,
  tls: 0,
} satisfies Record<Parameters<OwnTokenMetrics['ownTokenRenewal']>[1], 0>
const CACHE_RESULTS = { hit: 0, miss: 0, shared_hit: 0, stale: 0, none: 0 } satisfies Record<CacheResult, 0>
const OUTCOMES = {
  active: 0,
  inactive: 0,
  malformed: 0,
  client_error: 0,
  unauthorized: 0,
  throttled: 0,
  server_error: 0,
  timeout: 0,
  network: 0,
  tls: 0,
  rejected: 0,
} satisfies Record<IntrospectionOutcome, 0>
const BREAKER_STATES = { closed: 0, open: 0, half_open: 0 } satisfies Record<BreakerState, 0>
const RELOAD_OUTCOMES = { success: 0, failure: 0, restart_required: 0 } satisfies Record<ReloadOutcome, 0>

/** What the conditions of one rule can refuse for. */
const RULE_REASONS = ['insufficient_scope', 'wrong_issuer', 'wrong_audience', 'wrong_client', 'missing_claim'] as const

/** What the memory tier reports; the shared one appears with its first operation. */
const MEMORY_OPERATIONS = [
  ['get', 'hit'],
  ['get', 'miss'],
  ['set', 'ok'],
  ['delete', 'ok'],
] as const

/** Binds one label value to a child, once: `labels()` hashes and looks up at each call. */
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

/** A registry of its own, so that two servers in one process (tests) never share figures. */
export function createMetrics(): Metrics {
  const register = new Registry()
  const registers = [register]

  new Gauge({
    name: 'microgw_build_info',
    help: 'Always 1; which version runs on which Node.',
    labelNames: ['version', 'node'],
    registers,
  }).set({ version: VERSION, node: process.version }, 1)

  const checks = new Counter({
    name: 'microgw_checks_total',
    help: 'Checks answered, by decision (error: an error_response was sent) and reason.',
    labelNames: ['decision', 'reason'],
    registers,
  })
  const checksAllowed = children((reason) => checks.labels('allow', reason))
  const checksDenied = children((reason) => checks.labels('deny', reason))
  const checksFailed = children((reason) => checks.labels('error', reason))
  for (const reason of Object.keys(ALLOW_REASONS)) checksAllowed(reason).inc(0)
  for (const reason of Object.keys(DENY_REASONS)) checksDenied(reason).inc(0)
  for (const reason of ['key_manager_unavailable', 'overloaded']) checksFailed(reason).inc(0)
  const checksBy = { allow: checksAllowed, deny: checksDenied, error: checksFailed }

  const wouldDeny = new Counter({
    name: 'microgw_policy_would_deny_total',
    help: 'Allowed Checks that a rule with enforce = false would have denied, by reason.',
    labelNames: ['reason'],
    registers,
  })
  for (const reason of RULE_REASONS) wouldDeny.inc({ reason }, 0)

  const durations = new Histogram({
    name: 'microgw_check_duration_seconds',
    help: 'Time from reading a Check to its answer, by where the introspection answer came from.',
    labelNames: ['cache'],
    buckets: BUCKETS_SECONDS,
    registers,
  })
  const durationBy = children((cache) => durations.labels(cache))
  for (const cache of Object.keys(CACHE_RESULTS)) durations.zero({ cache })

  const inFlight = new Gauge({
    name: 'microgw_checks_in_flight',
    help: 'Checks waiting for an answer.',
    registers,
  })

  const introspections = new Counter({
    name: 'microgw_introspections_total',
    help: 'Introspections, by outcome (rejected: no call was made).',
    labelNames: ['outcome'],
    registers,
  })
  const introspectionsBy = children((outcome) => introspections.labels(outcome))
  for (const outcome of Object.keys(OUTCOMES)) introspectionsBy(outcome).inc(0)
  const introspectionDuration = new Histogram({
    name: 'microgw_introspection_duration_seconds',
    help: 'Time of one call to the key manager.',
    buckets: BUCKETS_SECONDS,
    registers,
  })
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

  const operations = new Counter({
    name: 'microgw_cache_operations_total',
    help: 'Cache operations, by store, operation and result.',
    labelNames: ['store', 'operation', 'result'],
    registers,
  })
  const operationsBy = children((store) =>
    children((operation) => children((result) => operations.labels(store, operation, result))),
  )
  for (const [operation, result] of MEMORY_OPERATIONS) operationsBy('memory')(operation)(result).inc(0)

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
  })

  collectDefaultMetrics({ register })

  return {
    check(decision, reason, cache, seconds) {
      checksBy[decision](reason).inc()
      durationBy(cache).observe(seconds)
    },
    wouldDeny: (reason) => wouldDeny.inc({ reason }),
    checksInFlight: (delta) => inFlight.inc(delta),
    introspection(outcome, seconds) {
      introspectionsBy(outcome).inc()
      if (seconds !== undefined) introspectionDuration.observe(seconds)
    },
    introspectionsInFlight: (count) => introspectionsInFlight.set(count),
    breaker: setBreaker,
    ownTokenRenewal: (grant, outcome) => renewals.inc({ grant, outcome }),
    ownTokenExpiresAt: (wallMs) => ownTokenExpiry.set((wallMs ?? 0) / 1000),
    cacheOperation: (store, operation, result) => operationsBy(store)(operation)(result).inc(),
    waiterJoined: () => waiters.inc(),
    cacheEntries(count) {
      countEntries = count
    },
    reload(outcome, wallMs) {
      reloads.inc({ outcome })
      if (outcome === 'success') lastReload.set(wallMs / 1000)
    },
    configLoaded: (wallMs) => lastReload.set(wallMs / 1000),
    exposition: async () => ({ contentType: register.contentType, body: await register.metrics() }),
  }
}
