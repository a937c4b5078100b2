/**
 * The types between the domain and what serves it, and the ports it is served through.
 * Any file may `import type` from here; nothing here runs.
 * No port ever rejects: failures are values.
 */

/** Time, injected everywhere. */
export interface Clock {
  /** Wall clock, ms since the epoch: for `exp`, `nbf` and log lines. */
  wallMs(): number
  /** Monotonic clock, ms since an arbitrary instant: for deadlines, ages and lives. */
  monotonicMs(): number
  /** Runs `run` once after `ms`; the returned function cancels it. Never keeps the process alive. */
  after(ms: number, run: () => void): () => void
}

/** One Check as the domain sees it, read from the wire by `envoy/`. */
export interface CheckView {
  /** `malformed`: the bytes are not a CheckRequest. `not_http`: no HTTP attributes (Envoy's TCP filter). */
  readonly form: 'http' | 'not_http' | 'malformed'
  readonly method: string
  /** `:path` as Envoy sees it: query included, nothing decoded. May be empty (CONNECT). */
  readonly path: string
  readonly host: string
  /** The credentials header's value, one character a byte (latin1); undefined when absent. */
  readonly credentials: string | undefined
  /** How many credentials headers the request carries; above 1 only in raw header mode. */
  readonly credentialsCount: number
  /** Wire bytes of all `context_extensions` entries, one character a byte: equal text, equal context. '' when there are none. */
  readonly contextKey: string
  /** Decodes the context extensions; called once per distinct `contextKey`. */
  contextExtensions(): ReadonlyMap<string, string>
  /** One more request header by its lower-case name, read from the message when asked for. */
  header(name: string): string | undefined
}

/** A validated active introspection answer's members (RFC 7662 section 2.2), total. */
export interface Claims {
  readonly sub: string | undefined
  readonly username: string | undefined
  /** `client_id`, or `azp` where that is absent. */
  readonly clientId: string | undefined
  readonly iss: string | undefined
  readonly audience: readonly string[]
  /** `scope` (text or list) or `scopes`, split; no empty words. */
  readonly scopes: readonly string[]
  readonly tokenType: string | undefined
  /** Whole seconds since the epoch; undefined: never expires. */
  readonly expSec: number | undefined
  /** Whole seconds since the epoch; undefined: valid from the start. */
  readonly nbfSec: number | undefined
  /** False where `token_use`, `token_type` or `typ` names a refresh, offline or ID token. */
  readonly isAccessToken: boolean
  /** True where `cnf` holds a confirmation: the token is bound to a key. */
  readonly isBound: boolean
  /** The JSON object as the key manager sent it, well-formed: `membersOf` reads the members that have no field here. */
  readonly json: string
}

/**
 * What is remembered. Nobody changes one: frozen as it was made, a copy of what is remembered as `AnswerCache` hands it
 * out, good for the Check that asked.
 */
export type Answer = ActiveAnswer | InactiveAnswer

export interface ActiveAnswer {
  readonly active: true
  readonly claims: Claims
  /** Monotonic instant at which the answer arrived. */
  readonly storedAtMs: number
  /** How long it may serve from `storedAtMs`, whole ms; 0: not remembered. `exp` is compared besides, by the wall clock. */
  readonly lifeMs: number
  readonly reply: ReplySlot
}

export interface InactiveAnswer {
  readonly active: false
  readonly storedAtMs: number
  readonly lifeMs: number
}

/** Where `envoy/` keeps the encoded allow reply it derived from an answer. After a reload another encoder owns it. */
export interface ReplySlot {
  /** A fresh copy of what `owner` kept; undefined: nothing, or another owner's. */
  copy(owner: object): Buffer | undefined
  /** Copies `reply`. Does nothing where the answer is not remembered (any more). */
  keep(owner: object, reply: Uint8Array): void
}

/** Why no answer could be had; the metric label of `microgw_introspections_total`. */
export type UnavailableKind =
  | 'client_error'
  | 'unauthorized'
  | 'throttled'
  | 'server_error'
  | 'timeout'
  | 'network'
  | 'tls'
  | 'rejected'

/** One call to the key manager, as a value. */
export type Introspected =
  | { readonly kind: 'active'; readonly claims: Claims }
  | { readonly kind: 'inactive' }
  | { readonly kind: 'malformed'; readonly detail: string }
  | {
      readonly kind: 'unavailable'
      readonly cause: UnavailableKind
      /** How long it makes no sense to ask again, ms; 0: not known. */
      readonly retryAfterMs: number
      /** For the log: what it most likely means. Never holds a token, secret or foreign error text. */
      readonly detail: string
    }
  /** Too many in flight and waiting. */
  | { readonly kind: 'overloaded' }
  /** Still queued when the last waiter gave up: never sent. */
  | { readonly kind: 'abandoned' }

/** Whether anybody still waits for a queued introspection. */
export interface Interest {
  readonly wanted: boolean
  /** Set by whoever queues: called once, when the last waiter gives up. */
  whenLost: (() => void) | undefined
  /** Of the Check that asked first. */
  readonly trace?: CheckTrace | undefined
}

/** The trace a Check belongs to, for the calls that are made on its behalf. */
export interface CheckTrace {
  /** One call to `url` begins; undefined: it belongs to no trace. Never throws. */
  call(url: string): TracedCall | undefined
}

export interface TracedCall {
  /** W3C trace context, to be sent along. */
  readonly headers: Readonly<Record<string, string>>
  /** Once, with the HTTP status or why there is none. Never throws. */
  end(outcome: number | UnavailableKind): void
}

export interface Introspector {
  /** POSTs to `/introspect`, queued behind `maxInFlight`. Once sent it goes on whatever becomes of `interest`. */
  introspect(token: string, interest: Interest): Promise<Introspected>
}

export interface AnswerCache {
  /**
   * Memory only, synchronous: the hot path. Never returns an answer past its life or `exp`. What it returns is to be read
   * before the next call: texts of an answer that has gone since throw.
   */
  peek(key: string): Answer | undefined
  /** The shared store, bounded by `storeTimeout`; undefined where none is configured. */
  readonly load: ((key: string) => Promise<Answer | undefined>) | undefined
  /**
   * All tiers; replaces what was there, with nothing where `lifeMs` is 0.
   * Readable by `peek` before the next request is read; never awaited, never throws.
   */
  remember(key: string, answer: Answer): void
}

/** A layer of policy: each part must hold by itself; an empty list or undefined asks for nothing. */
export interface PolicyLayer {
  /** All of them. */
  readonly requiredScopes: readonly string[]
  /** At least one. */
  readonly anyScopes: readonly string[]
  /** At least one. */
  readonly audience: readonly string[]
  readonly issuer: string | undefined
  readonly clients: readonly string[]
  /** Names the answer must carry with a value other than null. */
  readonly requiredClaims: readonly string[]
}

export interface PolicyRule extends PolicyLayer {
  readonly name: string
  /** Lower-case host names, or `*.suffix`; empty: any. */
  readonly hosts: readonly string[]
  /** Exact methods; empty: any. */
  readonly methods: readonly string[]
  /** Normalised paths, or `/prefix/*`; empty: any. */
  readonly paths: readonly string[]
  readonly anonymous: boolean
  /** False: this rule's own conditions are only counted and logged. */
  readonly enforce: boolean
}

export interface PolicySettings extends PolicyLayer {
  readonly noMatch: 'allow' | 'deny'
  readonly rules: readonly PolicyRule[]
}

export type AllowReason = 'allowed' | 'allowed_anonymous' | 'allowed_preflight'

export type DenyReason =
  | 'not_http'
  | 'malformed_request'
  | 'invalid_route_policy'
  | 'missing_credentials'
  | 'malformed_credentials'
  | 'inactive_token'
  | 'expired_token'
  | 'premature_token'
  | 'wrong_issuer'
  | 'wrong_audience'
  | 'not_an_access_token'
  | 'binding_failed'
  | 'insufficient_scope'
  | 'wrong_client'
  | 'missing_claim'
  | 'no_matching_rule'
  | 'insufficient_authentication'
  | 'ambiguous_path'
  | 'key_manager_unavailable'
  | 'overloaded'
  | 'internal_error'

export type Reason = AllowReason | DenyReason

/** Where the answer behind a decision came from. */
export type CacheResult = 'hit' | 'miss' | 'shared_hit' | 'stale' | 'none'

/** What was decided; `envoy/` turns it into bytes. */
export type Decision = Allowed | AllowedWithoutToken | Denied

export interface Allowed {
  readonly allow: true
  readonly reason: 'allowed'
  readonly cache: CacheResult
  readonly answer: ActiveAnswer
  /** Whole seconds this answer stays good; 0 when it was not remembered. */
  readonly maxAgeSeconds: number
  /** Set where a rule with `enforce = false` would have denied. */
  readonly wouldDeny: DenyReason | undefined
}

export interface AllowedWithoutToken {
  readonly allow: true
  readonly reason: 'allowed_anonymous' | 'allowed_preflight'
  readonly cache: 'none'
  /** True where the credentials header holds another scheme: it is removed whatever the configuration says. */
  readonly otherScheme: boolean
}

export interface Denied {
  readonly allow: false
  readonly reason: DenyReason
  readonly cache: CacheResult
  /** For `insufficient_scope`: the scopes asked for, space separated; else ''. */
  readonly scope: string
  /** For `key_manager_unavailable` and `overloaded`: whole seconds, at least 1; else 0. */
  readonly retryAfterSeconds: number
  /** The key manager answers nobody, or not in time: with `extAuthz.unavailable = "error"` Envoy decides. Not a refusal to look at this one token. */
  readonly isOutage: boolean
  /** For the log: what happened, in words without request data; '' when the reason says it all. */
  readonly detail: string
}

export interface Authorizer {
  /**
   * Decides one Check. A Promise only where the key manager must be asked; it never rejects.
   * `deadlineMs` is the monotonic instant by which the answer must have left (the margin is already taken off).
   * `cancelled` is told when Envoy gives up, so that the waiter is freed.
   */
  authorize(check: CheckView, deadlineMs: number, cancelled: Cancellation): Decision | Promise<Decision>
}

/** A one-shot signal without the cost of an AbortSignal: `whenCancelled` is set by whoever waits, called by the transport. */
export interface Cancellation {
  cancelled: boolean
  whenCancelled: (() => void) | undefined
  /** What the caller hands on beside it: the trace its call belongs to. */
  trace?: CheckTrace | undefined
}

/** Structured log. `event` is a stable snake_case name; fields are already safe: never a token, a secret or a foreign error's text. */
export interface Log {
  debug(event: string, fields?: Readonly<Record<string, unknown>>): void
  info(event: string, fields?: Readonly<Record<string, unknown>>): void
  warn(event: string, fields?: Readonly<Record<string, unknown>>): void
  error(event: string, fields?: Readonly<Record<string, unknown>>): void
}

/** What the client of the key manager reports. */
export interface IntrospectionMetrics {
  /** One outcome of `microgw_introspections_total`; `seconds` is undefined where no call was made. */
  introspection(outcome: 'active' | 'inactive' | 'malformed' | UnavailableKind, seconds: number | undefined): void
  /** 1 where one is sent, -1 where it is done: those of a replaced configuration count too. */
  introspectionsInFlight(delta: number): void
  breaker(state: 'closed' | 'open' | 'half_open'): void
}

/** What the own token reports. */
export interface OwnTokenMetrics {
  /** One token request, or a configured token that was refused. */
  ownTokenRenewal(
    grant: 'client_credentials' | 'password' | 'refresh_token' | 'direct',
    outcome: 'success' | 'rejected' | 'malformed' | 'throttled' | 'server_error' | 'timeout' | 'network' | 'tls',
  ): void
  /** Wall-clock ms; undefined: none is held, or it does not expire. */
  ownTokenExpiresAt(wallMs: number | undefined): void
}

/** What the cache and the flights report. */
export interface CacheMetrics {
  cacheOperation(
    store: 'memory' | 'shared',
    operation: 'get' | 'set' | 'delete',
    result: 'hit' | 'miss' | 'stale' | 'ok' | 'error' | 'timeout' | 'garbage',
  ): void
  /** A Check joined a flight already under way. */
  waiterJoined(): void
}
