/**
 * The only reader of time. Everything else takes a Clock, so that tests move it by hand.
 */
import { performance } from 'node:perf_hooks'
import type { Clock } from './authz/ports.ts'

/** setTimeout fires at once for anything above 2^31-1 ms (about 24.8 days): longer waits are cut to this. */
const LONGEST_TIMER_MS = 2_147_483_647

/** Wall clock in ms since the epoch, monotonic clock in ms since process start, timers that never keep the process alive. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, Math.min(Math.max(ms, 0), LONGEST_TIMER_MS))
    timer.unref()
    return () => clearTimeout(timer)
  },
}
