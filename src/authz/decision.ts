/**
 * The catalogue of outcomes: one stable name that is metric label, log field and documentation heading at once,
 * with what it means on the wire. A reason that is not in this table cannot be sent.
 */
import type { CacheResult, Denied, DenyReason, Reason } from './ports.ts'

export interface Outcome {
  /** HTTP status sent to the client; 0 on allow. Only codes of Envoy's enum (envoy.type.v3.StatusCode). */
  readonly http: number
  /** `CheckResponse.status.code` (google.rpc.Code). Envoy tells only 0 (allow) from the rest. */
  readonly status: number
  /** WSO2's fault code in the body; undefined on allow. */
  readonly fault: number | undefined
  /** The `error` attribute of the challenge (RFC 6750 section 3.1); undefined: none is sent. */
  readonly error: string | undefined
  /** Whether a `WWW-Authenticate` header is sent at all. */
  readonly challenge: boolean
}

const allow: Outcome = { http: 0, status: 0, fault: undefined, error: undefined, challenge: false }

const deny = (http: number, status: number, fault: number, error?: string): Outcome => ({
  http,
  status,
  fault,
  error,
  challenge: error !== undefined,
})

export const OUTCOMES: Readonly<Record<Reason, Outcome>> = Object.freeze({
  allowed: allow,
  allowed_anonymous: allow,
  allowed_preflight: allow,
  not_http: deny(403, 7, 900900),
  malformed_request: deny(400, 3, 900900),
  invalid_route_policy: deny(500, 13, 900900),
  // RFC 6750 section 3.1: without credentials the challenge carries no error attribute.
  missing_credentials: { ...deny(401, 16, 900902), challenge: true },
  malformed_credentials: deny(400, 3, 900901, 'invalid_request'),
  inactive_token: deny(401, 16, 900901, 'invalid_token'),
  expired_token: deny(401, 16, 900903, 'invalid_token'),
  premature_token: deny(401, 16, 900901, 'invalid_token'),
  wrong_issuer: deny(401, 16, 900901, 'invalid_token'),
  wrong_audience: deny(401, 16, 900901, 'invalid_token'),
  not_an_access_token: deny(401, 16, 900905, 'invalid_token'),
  binding_failed: deny(401, 16, 900901, 'invalid_token'),
  insufficient_scope: deny(403, 7, 900910, 'insufficient_scope'),
  wrong_client: deny(403, 7, 900908),
  missing_claim: deny(403, 7, 900908),
  no_matching_rule: deny(403, 7, 900908),
  // RFC 9470; its part comes later, the name is reserved.
  insufficient_authentication: deny(401, 16, 900901, 'insufficient_user_authentication'),
  ambiguous_path: deny(400, 3, 900900),
  key_manager_unavailable: deny(503, 14, 900900),
  overloaded: deny(503, 8, 900900),
  internal_error: deny(500, 13, 900900),
})

/** Every reason, in the order of the table: for metrics that start at 0 and for documentation checks. */
export const REASONS = Object.freeze(Object.keys(OUTCOMES)) as readonly Reason[]

const UNCLASSIFIED = 'Unclassified Authentication Failure'

const fault = (message: string, detail?: string) => ({
  message,
  description: detail === undefined ? message : `${message}. ${detail}`,
})

/** WSO2 API Microgateway's fault texts, to the letter: clients parse them. */
export const FAULTS: Readonly<Record<number, { readonly message: string; readonly description: string }>> =
  Object.freeze({
    900900: fault(UNCLASSIFIED, UNCLASSIFIED),
    900901: fault('Invalid Credentials', 'Make sure you have given the correct access token'),
    900902: fault('Missing Credentials', 'Make sure your API request provides required credentials'),
    900903: fault('Access Token Expired', 'Renew the access token and try again'),
    900905: fault('Incorrect Access Token Type is provided', UNCLASSIFIED),
    900908: fault('Resource forbidden ', UNCLASSIFIED),
    900910: fault('The access token does not allow you to access the requested resource'),
  })

interface DenialDetails {
  readonly cache?: CacheResult
  readonly scope?: string
  readonly retryAfterMs?: number
  readonly isOutage?: boolean
  readonly detail?: string
}

/** A deny; `retryAfterMs` becomes whole seconds, at least 1, for the two reasons that carry `Retry-After`. */
export function denied(reason: DenyReason, details: DenialDetails = {}): Denied {
  const retries = reason === 'key_manager_unavailable' || reason === 'overloaded'
  return {
    allow: false,
    reason,
    cache: details.cache ?? 'none',
    scope: details.scope ?? '',
    retryAfterSeconds: retries ? Math.max(1, Math.ceil((details.retryAfterMs ?? 0) / 1000)) : 0,
    isOutage: details.isOutage ?? false,
    detail: details.detail ?? '',
  }
}
