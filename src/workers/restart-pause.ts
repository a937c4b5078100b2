/** How long to wait before a worker is replaced: not at all, unless the last ones ended soon as well. */

/** Who served this long did not end because of how it began. */
const STEADY_MS = 60_000
const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 10_000

/** `soonEnded`: how many before it ended soon, one after the other; `livedMs`: from ready to its end, 0 if it never was. */
export function restartPauseMs(
  soonEnded: number,
  livedMs: number,
): { readonly ms: number; readonly soonEnded: number } {
  if (livedMs >= STEADY_MS || soonEnded === 0) return { ms: 0, soonEnded: 1 }
  return { ms: Math.min(FIRST_PAUSE_MS * 2 ** (soonEnded - 1), LONGEST_PAUSE_MS), soonEnded: soonEnded + 1 }
}
