/** What the log says of introspections that went wrong: at most one line a second and cause, with what was left out. */
import type { Clock, Introspected, Log } from '../authz/ports.ts'

/** The year 5138 in seconds, 1973 in milliseconds: an `exp` beyond is most likely in milliseconds. */
const FAR_FUTURE_SEC = 100_000_000_000
const LINE_EVERY_MS = 1_000

export interface FailureLog {
  note(outcome: Introspected): void
  /** The last failure's detail; undefined after a good answer. */
  last(): string | undefined
}

export function createFailureLog(log: Log, clock: Clock): FailureLog {
  const lines = new Map<string, { nextAtMs: number; suppressed: number }>()
  let last: string | undefined
  let warnedOfFarFuture = false

  const fail = (cause: string, detail: string): void => {
    last = detail
    const line = lines.get(cause) ?? { nextAtMs: Number.NEGATIVE_INFINITY, suppressed: 0 }
    lines.set(cause, line)
    const nowMs = clock.monotonicMs()
    if (nowMs < line.nextAtMs) {
      line.suppressed += 1
      return
    }
    log.warn('introspection_failed', { cause, detail, suppressed: line.suppressed })
    line.nextAtMs = nowMs + LINE_EVERY_MS
    line.suppressed = 0
  }

  return {
    last: () => last,
    note(outcome) {
      switch (outcome.kind) {
        case 'active':
          last = undefined
          if (!warnedOfFarFuture && (outcome.claims.expSec ?? 0) > FAR_FUTURE_SEC) {
            warnedOfFarFuture = true
            log.warn('exp_in_far_future', {
              detail:
                'exp is most likely in milliseconds: answers live for tokenCacheExpiryTime, tokens never expire here',
            })
          }
          return
        case 'inactive':
          last = undefined
          return
        case 'malformed':
          return fail('malformed', outcome.detail)
        case 'unavailable':
          return fail(outcome.cause, outcome.detail)
        case 'overloaded':
        case 'abandoned':
          return
        default:
          outcome satisfies never
      }
    },
  }
}
