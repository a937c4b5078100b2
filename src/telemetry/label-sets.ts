/** The closed label sets of the metrics (product contract section 7): every known one starts at 0. */
import type { AllowReason, CacheResult, DenyReason, OwnTokenMetrics, UnavailableKind } from '../authz/ports.ts'

export type ReloadOutcome = 'success' | 'failure' | 'restart_required'
export type IntrospectionOutcome = 'active' | 'inactive' | 'malformed' | UnavailableKind
export type BreakerState = 'closed' | 'open' | 'half_open'

// Records rather than lists: the compiler asks for every member.
export const ALLOW_REASONS = { allowed: 0, allowed_anonymous: 0, allowed_preflight: 0 } satisfies Record<AllowReason, 0>
export const DENY_REASONS = {
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
export const RENEWAL_GRANTS = { client_credentials: 0, password: 0, refresh_token: 0, direct: 0 } satisfies Record<
  Parameters<OwnTokenMetrics['ownTokenRenewal']>[0],
  0
>
export const RENEWAL_OUTCOMES = {
  success: 0,
  rejected: 0,
  malformed: 0,
  throttled: 0,
  server_error: 0,
  timeout: 0,
  network: 0,
  tls: 0,
} satisfies Record<Parameters<OwnTokenMetrics['ownTokenRenewal']>[1], 0>
export const CACHE_RESULTS = { hit: 0, miss: 0, shared_hit: 0, stale: 0, none: 0 } satisfies Record<CacheResult, 0>
export const OUTCOMES = {
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
export const BREAKER_STATES = { closed: 0, open: 0, half_open: 0 } satisfies Record<BreakerState, 0>
export const RELOAD_OUTCOMES = { success: 0, failure: 0, restart_required: 0 } satisfies Record<ReloadOutcome, 0>

/** What the conditions of one rule can refuse for. */
export const RULE_REASONS = ['insufficient_scope', 'wrong_issuer', 'wrong_audience', 'wrong_client', 'missing_claim']

/** What the memory tier reports; the shared one appears with its first operation. */
export const MEMORY_OPERATIONS = [
  ['get', 'hit'],
  ['get', 'miss'],
  ['set', 'ok'],
  ['delete', 'ok'],
] as const
