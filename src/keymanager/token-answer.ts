/** The parse half of a token request (RFC 6749 section 5): status, headers and text -> granted or refused. Pure. */
import type { AnswerHeaders } from '../net/http.ts'
import { readRetryAfterMs } from '../net/retry-after.ts'

/** Label of `microgw_own_token_renewals_total`, but for `success`. */
export type RefusalOutcome = 'rejected' | 'malformed' | 'throttled' | 'server_error' | 'timeout' | 'network' | 'tls'

export type GrantResult =
  | {
      readonly kind: 'granted'
      readonly accessToken: string
      readonly lifeMs: number
      readonly refreshToken: string | undefined
      /** Granted `scope`; undefined: as asked for. */
      readonly scope: string | undefined
    }
  | {
      readonly kind: 'refused'
      readonly outcome: RefusalOutcome
      /** `error` of RFC 6749 section 5.2, where it is one of the registered words; `invalid_client` by any of its names. */
      readonly error: OAuthError | undefined
      /** 0: not said. */
      readonly retryAfterMs: number
      /** In our own words; never a token, secret or text of the server. */
      readonly detail: string
    }

export type OAuthError = (typeof ERRORS)[number]

const ERRORS = [
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
  'invalid_target',
  'temporarily_unavailable',
  'server_error',
] as const

const DEFAULT_LIFE_SEC = 300
const LONGEST_LIFE_SEC = 86_400
/** RFC 6750 section 2.1: what can be sent as a bearer token. */
const B64TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/
const JSON_TYPE = /^\s*(?:application\/(?:[\w.-]+\+)?json|text\/json)\s*(?:;|$)/i

export interface TokenHttpAnswer {
  readonly status: number
  readonly headers: AnswerHeaders
  readonly text: string
}

/** Any bytes at all become one of the two; only a whole, well-formed answer is `granted`. */
export function readTokenAnswer({ status, headers, text }: TokenHttpAnswer, nowWallMs: number): GrantResult {
  if (status === 429) {
    const retryAfterMs = readRetryAfterMs(headers['retry-after'], nowWallMs)
    return refused('throttled', 'the token endpoint asks for fewer calls (429)', undefined, retryAfterMs)
  }
  if (status >= 500) return refused('server_error', `the token endpoint answered ${status}`)
  if (status >= 300 && status < 400)
    return refused('rejected', `the token endpoint answered ${status}, a redirect: is its URL right?`)
  const members = readMembers(headers['content-type'], text)
  if (status !== 200 && status !== 201) return readError(status, members)
  return readGranted(members)
}

function readMembers(contentType: unknown, text: string): Readonly<Record<string, unknown>> | undefined {
  if (typeof contentType !== 'string' || !JSON_TYPE.test(contentType)) return undefined
  try {
    const value: unknown = JSON.parse(text.replace(/^\uFEFF/, ''))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.assign(Object.create(null), value)
      : undefined
  } catch {
    return undefined
  }
}

/** RFC 6749 section 5.2. */
function readError(status: number, members: Readonly<Record<string, unknown>> | undefined): GrantResult {
  const word = ERRORS.find((known) => known === members?.['error'])
  // RFC 6749 section 5.2: 401 is for a failed client authentication, which Keycloak calls unauthorized_client.
  const error = status === 401 && word === 'unauthorized_client' ? 'invalid_client' : word
  if (error === 'temporarily_unavailable' || error === 'server_error')
    return refused('server_error', `the token endpoint answered ${status} ${error}`, error)
  const said = error === undefined ? '' : ` ${word}: ${MEANING[error]}`
  return refused('rejected', `the token endpoint answered ${status}${said}`, error)
}

const MEANING: Readonly<Record<OAuthError, string>> = {
  invalid_request: 'it misses a parameter or does not accept one of them',
  invalid_client: 'client id, secret or way of authenticating are wrong',
  invalid_grant: 'the refresh token or the user name and password are not accepted, or no longer',
  unauthorized_client: 'this client may not use this grant',
  unsupported_grant_type: 'the server does not offer this grant',
  invalid_scope: 'a scope is unknown or not allowed to this client',
  invalid_target: 'resource or audience is unknown',
  temporarily_unavailable: 'the server is overloaded',
  server_error: 'the server failed',
}

function readGranted(members: Readonly<Record<string, unknown>> | undefined): GrantResult {
  if (members === undefined)
    return refused('malformed', 'the token endpoint answered no JSON object: is its URL right?')
  const { access_token: accessToken, token_type: type, refresh_token: refreshToken, scope } = members
  if (typeof accessToken !== 'string' || !B64TOKEN.test(accessToken))
    return refused('malformed', 'the token answer holds no usable access_token')
  // RFC 6749 section 7.1: a type that is not understood must not be used.
  if (typeof type !== 'string' || type.toLowerCase() !== 'bearer')
    return refused('malformed', 'the token answer holds no token_type, or another than Bearer')
  if (refreshToken !== undefined && refreshToken !== null && typeof refreshToken !== 'string')
    return refused('malformed', 'refresh_token of the token answer is no text')
  return {
    kind: 'granted',
    accessToken,
    lifeMs: readLifeSec(members['expires_in']) * 1_000,
    refreshToken: typeof refreshToken === 'string' && refreshToken !== '' ? refreshToken : undefined,
    scope: typeof scope === 'string' ? scope : undefined,
  }
}

/** Whole seconds from 1 to 86,400; 300 where `expires_in` is absent or not usable (RFC 6749 section 5.1). */
export function readLifeSec(expiresIn: unknown): number {
  const number =
    typeof expiresIn === 'string' && /^\d+(?:\.\d+)?$/.test(expiresIn.trim()) ? Number(expiresIn) : expiresIn
  if (typeof number !== 'number' || !Number.isFinite(number)) return DEFAULT_LIFE_SEC
  const whole = Math.floor(number)
  return whole < 1 ? DEFAULT_LIFE_SEC : Math.min(whole, LONGEST_LIFE_SEC)
}

export function refused(
  outcome: RefusalOutcome,
  detail: string,
  error?: OAuthError,
  retryAfterMs = 0,
): Extract<GrantResult, { kind: 'refused' }> {
  return { kind: 'refused', outcome, error, retryAfterMs, detail }
}
