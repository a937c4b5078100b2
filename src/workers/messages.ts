/**
 * What the primary and its workers say to each other over their channel: a socket pair of one host and one user, which
 * is why the own token and the key manager's secrets may travel on it. Structured clones: Buffers stay Buffers.
 */
import type { Untaken } from '../keymanager/own-token.ts'
import type { Status } from '../server/status.ts'
import type { RecentDeny } from '../telemetry/decision-log.ts'
import type { Snapshot } from '../telemetry/metrics.ts'
import type { PackedSetup } from './setup.ts'

/** An own token on its way: instants of one process mean nothing to another, so what is left of its life is said. */
export interface PassedToken {
  readonly kind: 'token'
  /** Which one it is, for the worker that says it was refused. */
  readonly serial: number
  readonly value: string
  /** Infinity: it does not expire. */
  readonly lifeMs: number
}

/** What a worker can be asked, and what it answers with. */
export interface Answers {
  readonly metrics: Snapshot
  readonly status: Status
  readonly decisions: readonly RecentDeny[]
  readonly decision: RecentDeny | undefined
}

export type ToWorker =
  | { readonly kind: 'setup'; readonly setup: PackedSetup }
  /** Comes with a connection that was accepted on this listener. */
  | { readonly kind: 'connection'; readonly id: number; readonly listener: number }
  /** Undefined: the one held was refused, it is not sent again. `source`: which grant it came by. */
  | { readonly kind: 'own_token'; readonly source: number; readonly token: PassedToken | undefined }
  | { readonly kind: 'own_token_answer'; readonly id: number; readonly answer: PassedToken | Untaken }
  | { readonly kind: 'ask'; readonly id: number; readonly what: keyof Answers; readonly detail: string }
  /** `given`: the last connection handed over before it. */
  | { readonly kind: 'beat'; readonly given: number }
  | { readonly kind: 'not_serving' }
  | { readonly kind: 'drain'; readonly timeoutMs: number }
  | { readonly kind: 'stop' }

export type ToPrimary =
  /** It listens to messages. */
  | { readonly kind: 'hello' }
  /** This setup is in force. */
  | { readonly kind: 'ready'; readonly generation: number }
  /** This setup could not be put in force. */
  | { readonly kind: 'refused'; readonly generation: number }
  /** The answer to this very one: whatever was sent before it has arrived, or never will. */
  | { readonly kind: 'beat'; readonly given: number }
  /** It has this connection, and has not read from it yet. */
  | { readonly kind: 'received'; readonly id: number }
  /** One of the connections it was given is closed. */
  | { readonly kind: 'closed' }
  /** `refused`: the serial of the token that the key manager refused; undefined: there is none to send. */
  | {
      readonly kind: 'own_token_ask'
      readonly id: number
      readonly source: number
      readonly refused: number | undefined
    }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answers[keyof Answers] }
