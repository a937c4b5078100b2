/** What an introspection's outcome tells the breaker, the metrics and the status page; pure but for the last calls. */
import type { Clock, Introspected, IntrospectionMetrics } from '../authz/ports.ts'
import type { Verdict } from '../net/breaker.ts'

type Unavailable = Extract<Introspected, { kind: 'unavailable' }>

export const UNEXPECTED: Introspected = {
  kind: 'unavailable',
  cause: 'network',
  retryAfterMs: 0,
  detail: 'the call failed unexpectedly',
}

/** Nothing was sent. */
export function noCall(detail: string, retryAfterMs: number): Introspected {
  return { kind: 'unavailable', cause: 'rejected', retryAfterMs, detail }
}

export function isUnauthorized(outcome: Introspected): outcome is Unavailable {
  return outcome.kind === 'unavailable' && outcome.cause === 'unauthorized'
}

/** Product section 4: what an outcome says about the key manager. */
export function judge(outcome: Introspected): Verdict {
  switch (outcome.kind) {
    case 'active':
    case 'inactive':
      return 'works'
    case 'malformed':
    case 'overloaded':
    case 'abandoned':
      return 'neutral'
    case 'unavailable':
      switch (outcome.cause) {
        case 'timeout':
        case 'network':
        case 'tls':
        case 'server_error':
        case 'unauthorized':
          return 'failed'
        case 'client_error':
        case 'throttled':
        case 'rejected':
          return 'neutral'
        default:
          return outcome.cause satisfies never
      }
    default:
      return outcome satisfies never
  }
}

/** `outcome` of `microgw_introspections_total`. */
export function label(outcome: Introspected): Parameters<IntrospectionMetrics['introspection']>[0] {
  switch (outcome.kind) {
    case 'active':
    case 'inactive':
    case 'malformed':
      return outcome.kind
    case 'unavailable':
      return outcome.cause
    case 'overloaded':
    case 'abandoned':
      return 'rejected'
    default:
      return outcome satisfies never
  }
}

/** Calls of this configuration; the probe at the start is none. `at`: RFC 3339, UTC, when the call ended. */
export interface LastCalls {
  readonly lastSuccess: { readonly at: string; readonly tookMs: number } | undefined
  readonly lastFailure:
    | { readonly at: string; readonly tookMs: number; readonly cause: string; readonly detail: string }
    | undefined
}

interface Timed {
  readonly atMs: number
  readonly tookMs: number
}

export function createLastCalls(clock: Clock): {
  readonly note: (outcome: Introspected, tookMs: number) => void
  readonly told: () => LastCalls
} {
  let lastSuccess: Timed | undefined
  let lastFailure: (Timed & { readonly cause: string; readonly detail: string }) | undefined
  return {
    note(outcome, tookMs) {
      const time = { atMs: clock.wallMs(), tookMs: Math.round(tookMs) }
      if (outcome.kind === 'active' || outcome.kind === 'inactive') lastSuccess = time
      else if (outcome.kind === 'malformed') lastFailure = { ...time, cause: 'malformed', detail: outcome.detail }
      else if (outcome.kind === 'unavailable') lastFailure = { ...time, cause: outcome.cause, detail: outcome.detail }
    },
    told: () => ({
      lastSuccess: lastSuccess && dated(lastSuccess),
      lastFailure: lastFailure && dated(lastFailure),
    }),
  }
}

/** Told as a date where somebody asks: a call happens far more often. */
function dated<What extends Timed>({ atMs, ...rest }: What): Omit<What, 'atMs'> & { readonly at: string } {
  return { at: new Date(atMs).toISOString(), ...rest }
}
