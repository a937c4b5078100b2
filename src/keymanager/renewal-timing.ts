/** When the own token is asked for next (product P21): pure, jitter given from outside. */
import type { GrantResult, OAuthError } from './token-answer.ts'

const REJECTED_BACKOFF_MS = 30_000
const LONGEST_BACKOFF_MS = 30_000
const LONGEST_REJECTED_BACKOFF_MS = 300_000
/** RFC 6749 section 5.2: what the next attempt will not cure, but a person at the server may. */
const FINAL: ReadonlySet<OAuthError | undefined> = new Set([
  'invalid_client',
  'invalid_grant',
  'unauthorized_client',
  'invalid_scope',
])

/** At 80 % of its life at the latest, up to a twentieth of it earlier. `jitter` from 0 to 1. */
export function renewInMs(lifeMs: number, jitter: number): number {
  return lifeMs * (0.8 - 0.05 * jitter)
}

/** 1, 2, 4 ... 30 s; from 30 s, doubling to 5 min, after a refusal that is final; never less than the server asks for. */
export function backoffMs(failures: number, result: Extract<GrantResult, { kind: 'refused' }>, jitter: number): number {
  const [baseMs, longestMs] = FINAL.has(result.error)
    ? [REJECTED_BACKOFF_MS, LONGEST_REJECTED_BACKOFF_MS]
    : [1_000, LONGEST_BACKOFF_MS]
  const doubled = Math.min(baseMs * 2 ** Math.min(failures - 1, 20), longestMs)
  return Math.max(doubled * (1 + 0.2 * jitter), result.retryAfterMs)
}
