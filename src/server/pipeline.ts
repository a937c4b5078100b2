/** What one configuration decides with. A reload swaps the whole; a call in flight keeps the one it began with. */
import type { Authorizer, CheckView, Decision } from '../authz/ports.ts'

export interface Pipeline {
  /** Never throws: bytes that do not decode are a value. */
  decode(bytes: Uint8Array): CheckView
  readonly authorizer: Authorizer
  encode(decision: Decision, decisionId: string): Buffer
  /** `keyManager.timeout`, ms: what one Check waits at most, from its arrival. */
  readonly timeoutMs: number
  /** `error`: an unavailable key manager is sent as `error_response` and counted so. */
  readonly unavailable: 'deny' | 'error'
}
