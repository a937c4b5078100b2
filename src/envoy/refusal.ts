/** What a deny looks like to the client: status, challenge, body. Pure. */
import { FAULTS, OUTCOMES } from '../authz/decision.ts'
import type { Denied } from '../authz/ports.ts'
import { DECISION_ID, type RefusalBody } from './reply-message.ts'
import type { UpstreamHeader } from './upstream-headers.ts'

const UNCLASSIFIED = 900_900
/** A longer list of scopes is left out of the challenge: proxies cut response headers off. */
const LONGEST_SCOPE = 4096

export interface RefusalSettings {
  readonly realm: string
  readonly resourceMetadata: string | undefined
  /** `error`: an outage of the key manager is Envoy's `error_response`, so that its own `failure_mode_allow` applies. */
  readonly unavailable: 'deny' | 'error'
}

/** The refusal for a decision, by the table of product section 2.1. No request data is ever in it. */
export function refusalFor(denied: Denied, settings: RefusalSettings): RefusalBody {
  const outcome = OUTCOMES[denied.reason]
  const canRetry = denied.reason === 'key_manager_unavailable' || denied.reason === 'overloaded'
  const headers: UpstreamHeader[] = [
    { name: 'content-type', value: 'application/json' },
    { name: 'cache-control', value: 'no-store' },
    { name: 'x-authz-decision-id', value: DECISION_ID },
  ]
  if (outcome.challenge) {
    headers.push({ name: 'www-authenticate', value: challenge(outcome.error, denied.scope, settings) })
  }
  if (canRetry) headers.push({ name: 'retry-after', value: retryAfter(denied.retryAfterSeconds) })
  return {
    kind: denied.isOutage && settings.unavailable === 'error' ? 'error' : 'denied',
    status: outcome.status,
    http: outcome.http,
    headers,
    body: faultBody(outcome.fault ?? UNCLASSIFIED),
  }
}

/** RFC 6750 section 3: each attribute at most once; no error where no credentials were sent. */
function challenge(error: string | undefined, scope: string, settings: RefusalSettings): string {
  let value = `Bearer realm=${quoted(settings.realm)}`
  if (error !== undefined) value += `, error=${quoted(error)}`
  if (error === 'insufficient_scope') {
    const scopes = scopeAttribute(scope)
    if (scopes !== '') value += `, scope=${quoted(scopes)}`
  }
  // RFC 9728 section 5.1.
  if (settings.resourceMetadata !== undefined) value += `, resource_metadata=${quoted(settings.resourceMetadata)}`
  return value
}

/** RFC 6750 section 3 leaves `"`, `\` and everything outside 0x21-0x7E out of a scope: such words are not shown. */
function scopeAttribute(scope: string): string {
  const words = scope.split(' ').filter((word) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(word))
  const joined = words.join(' ')
  return joined.length > LONGEST_SCOPE ? '' : joined
}

/** RFC 9110 section 5.6.4; what no header may hold becomes `?`. */
function quoted(value: string): string {
  return `"${value.replace(/[^\x20-\x7e]/gu, '?').replace(/["\\]/g, '\\$&')}"`
}

function retryAfter(seconds: number): string {
  return String(Number.isFinite(seconds) ? Math.max(1, Math.ceil(seconds)) : 1)
}

/** WSO2's body, so that clients that parse it keep working. */
function faultBody(code: number): string {
  const fault = FAULTS[code]
  if (fault === undefined) throw new Error(`no text for fault ${code}`)
  return JSON.stringify({ fault: { code, message: fault.message, description: fault.description } })
}
