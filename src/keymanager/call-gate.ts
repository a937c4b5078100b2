/**
 * Whether a call to the key manager may go out: the breaker and an honoured 429. What it knows is of the key manager, not
 * of a configuration: it outlives a reload that leaves `[keyManager]`, its secrets and its certificates as they were, else
 * each would send a few calls more to one that is down or asked for fewer.
 */
import type { Clock, Introspected, IntrospectionMetrics, Log } from '../authz/ports.ts'
import type { KeyManagerConfig } from '../config/config.ts'
import { type Breaker, createBreaker } from '../net/breaker.ts'
import { createFailureLog } from './failure-log.ts'

export interface CallGate {
  readonly breaker: Breaker
  /** Why no call may go out now, and for how long; undefined: one may. */
  refusal(): { readonly detail: string; readonly forMs: number } | undefined
  /** What an outcome says of the calls to come; logged where it is a failure. */
  note(outcome: Introspected): void
  /** What went wrong last, in our own words; undefined after a good answer. */
  lastError(): string | undefined
  /** Its configuration is in force: the metric of the breaker is this one's, until it is closed. */
  takeOver(): void
  close(): void
}

export function createCallGate(
  settings: Pick<KeyManagerConfig, 'name' | 'breaker'>,
  { clock, metrics, log }: { readonly clock: Clock; readonly metrics: IntrospectionMetrics; readonly log: Log },
): CallGate {
  const failures = createFailureLog(log, clock)
  let throttledUntilMs = Number.NEGATIVE_INFINITY
  let isInForce = false

  const breaker = createBreaker({
    failures: settings.breaker.failures,
    openForMs: settings.breaker.openForMs,
    now: clock.monotonicMs,
    onChange(state) {
      // What calls of a replaced configuration still find is nobody's state any more.
      if (!isInForce) return
      metrics.breaker(state)
      log.warn('breaker_changed', { state, keyManager: settings.name, lastError: failures.last() })
    },
  })

  return {
    breaker,
    refusal() {
      const throttledMs = throttledUntilMs - clock.monotonicMs()
      if (throttledMs > 0) return { detail: 'the key manager asked for fewer calls (429)', forMs: throttledMs }
      const openMs = breaker.refusesForMs()
      return openMs > 0 ? { detail: 'the breaker is open', forMs: openMs } : undefined
    },
    note(outcome) {
      failures.note(outcome)
      if (outcome.kind === 'unavailable' && outcome.cause === 'throttled')
        throttledUntilMs = Math.max(throttledUntilMs, clock.monotonicMs() + outcome.retryAfterMs)
    },
    lastError: failures.last,
    takeOver() {
      isInForce = true
      metrics.breaker(breaker.state)
    },
    close() {
      isInForce = false
    },
  }
}
