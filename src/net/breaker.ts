/**
 * The circuit breaker in front of the key manager (product section 4): closed while it works; open after so many
 * failures in a row, when nobody is let through; half open while the one probe is out.
 */

export type BreakerState =
  | { readonly kind: 'closed'; readonly failures: number }
  | { readonly kind: 'open'; readonly untilMs: number }
  | { readonly kind: 'half_open' }

/**
 * What a call said about the key manager. `works`: a valid answer. `failed`: timeout, network, TLS, 5xx, or our
 * credentials refused. `neutral`: anything one odd token can bring about (client error, malformed, throttled): it
 * neither opens the breaker, else one client could close the API for all, nor proves that the key manager works.
 */
export type Verdict = 'works' | 'failed' | 'neutral'

/** Whether a call may go out. `probe` and `opening` (how often the breaker had opened) are handed back with its verdict. */
export type Admission =
  | { readonly admitted: true; readonly probe: boolean; readonly opening: number }
  | { readonly admitted: false; readonly retryAfterMs: number }

export interface Breaker {
  /** Takes the probe's place where it is free: every admitted call must be settled. */
  admit(): Admission
  /** `opening`: default, as often as it has opened by now. */
  settle(probe: boolean, verdict: Verdict, opening?: number): void
  /** For how long `admit` would refuse, ms; 0: it would not. Takes no place. */
  refusesForMs(): number
  readonly state: BreakerState['kind']
}

export interface BreakerOptions {
  /** Failures in a row that open it; at least 1. */
  readonly failures: number
  readonly openForMs: number
  /** Monotonic ms. */
  readonly now: () => number
  readonly onChange: (state: BreakerState['kind']) => void
}

export function createBreaker(options: BreakerOptions): Breaker {
  const { now, openForMs } = options
  let state: BreakerState = { kind: 'closed', failures: 0 }
  let openings = 0

  const become = (next: BreakerState): void => {
    const changed = next.kind !== state.kind
    state = next
    if (changed) options.onChange(next.kind)
  }
  const open = (): void => {
    openings += 1
    become({ kind: 'open', untilMs: now() + openForMs })
  }

  const refusesForMs = (): number => {
    switch (state.kind) {
      case 'closed':
        return 0
      case 'half_open':
        return openForMs
      case 'open':
        return Math.max(state.untilMs - now(), 0)
      default:
        return state satisfies never
    }
  }

  return {
    refusesForMs,
    get state() {
      return state.kind
    },
    admit() {
      const retryAfterMs = refusesForMs()
      if (retryAfterMs > 0) return { admitted: false, retryAfterMs }
      const probe = state.kind === 'open'
      if (probe) become({ kind: 'half_open' })
      return { admitted: true, probe, opening: openings }
    },
    settle(probe, verdict, opening = openings) {
      if (probe) {
        if (verdict === 'failed') open()
        else if (verdict === 'works') become({ kind: 'closed', failures: 0 })
        // Reachable, and no more is known: let calls through, and open again at the first failure.
        else become({ kind: 'closed', failures: options.failures - 1 })
        return
      }
      // A call sent before it opened says nothing about now, not even where the probe has closed it meanwhile.
      if (state.kind !== 'closed' || opening !== openings) return
      if (verdict === 'works') become({ kind: 'closed', failures: 0 })
      else if (verdict === 'failed') {
        if (state.failures + 1 >= options.failures) open()
        else become({ kind: 'closed', failures: state.failures + 1 })
      }
    },
  }
}
