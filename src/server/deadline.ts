/** How long one Check may wait: product contract 2.3 [P10]. Pure. */

const LEAST_MARGIN_MS = 10
const MOST_MARGIN_MS = 100
const MARGIN_SHARE = 0.1

/** What is taken off the time left, so that our answer arrives before Envoy gives up. */
export function marginMs(leftMs: number): number {
  return Math.min(Math.max(LEAST_MARGIN_MS, leftMs * MARGIN_SHARE), MOST_MARGIN_MS)
}

/**
 * The monotonic instant until which to wait: min(caller's deadline less the margin, arrival + `timeoutMs`).
 * @param callerDeadlineAtMs monotonic; Infinity where the caller set none.
 */
export function waitUntilMs(arrivedAtMs: number, callerDeadlineAtMs: number, timeoutMs: number): number {
  const ownLimitAtMs = arrivedAtMs + timeoutMs
  if (callerDeadlineAtMs === Number.POSITIVE_INFINITY) return ownLimitAtMs
  return Math.min(callerDeadlineAtMs - marginMs(callerDeadlineAtMs - arrivedAtMs), ownLimitAtMs)
}
