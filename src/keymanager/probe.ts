/** The start-up probe: one introspection of a random token, which must come back inactive. */
import { randomBytes } from 'node:crypto'
import type { Clock, Introspected } from '../authz/ports.ts'
import type { ClientSecurity } from '../config/config.ts'
import { isSpeltDifferentlyInForm } from './client-authentication.ts'

export interface ProbeResult {
  /** True: the key manager answered as one does for a token it does not know. */
  readonly ok: boolean
  /** Round trip. */
  readonly ms: number
  /** `inactive`, or what came instead. */
  readonly outcome: string
  /** What is wrong and what to do; undefined where nothing is. */
  readonly advice: string | undefined
}

/** `call` must not count in any metric. Never rejects. */
export async function probeKeyManager(
  call: (token: string) => Promise<Introspected>,
  security: ClientSecurity,
  clock: Clock,
): Promise<ProbeResult> {
  const startedAtMs = clock.monotonicMs()
  const outcome = await call(randomBytes(32).toString('base64url'))
  const ms = clock.monotonicMs() - startedAtMs
  switch (outcome.kind) {
    case 'inactive':
      return { ok: true, ms, outcome: 'inactive', advice: undefined }
    case 'active':
      return { ok: false, ms, outcome: 'active', advice: 'a random token is active: this is no introspection endpoint' }
    case 'malformed':
      return { ok: false, ms, outcome: 'malformed', advice: outcome.detail }
    case 'unavailable':
      return { ok: false, ms, outcome: outcome.cause, advice: adviceFor(outcome, security) }
    case 'overloaded':
    case 'abandoned':
      return { ok: false, ms, outcome: outcome.kind, advice: undefined }
    default:
      return outcome satisfies never
  }
}

/** What a refusal most likely means for this way of authenticating. */
export function adviceFor(outcome: Extract<Introspected, { kind: 'unavailable' }>, security: ClientSecurity): string {
  if (outcome.cause !== 'unauthorized' && !isSpeltDifferentlyInForm(security)) return outcome.detail
  const refused = outcome.cause === 'unauthorized' || outcome.cause === 'client_error'
  if (!refused) return outcome.detail
  if (security.kind === 'own_token')
    return `${outcome.detail}: the own token is not accepted for introspection. Check its scopes and the rights of its client`
  if (security.kind !== 'none' && security.kind !== 'basic')
    return `${outcome.detail}: check client id, key and algorithm in [keymanager.security.basic], and assertionAudience`
  if (security.kind === 'none') return `${outcome.detail}: configure [keymanager.security.basic]`
  const check = `${outcome.detail}: check username and password of [keymanager.security.basic]`
  return isSpeltDifferentlyInForm(security)
    ? `${check}; they hold characters that this key manager may form-decode: try encoding = "form"`
    : check
}
