/** Durations as people write them. */

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const
const WRITTEN = /^(\d{1,15}(?:\.\d{1,9})?)(ms|s|m|h)$/

/** Longest duration taken, a hundred years: beyond it arithmetic in ms would lose precision before anybody gains. */
const LONGEST_MS = 100 * 365 * 24 * UNIT_MS.h

/** `"250ms"`, `"10s"`, `"1.5m"`, `"1h"` in whole ms, rounded up so that nothing above zero becomes zero; undefined where it is none. */
export function parseDuration(text: string): number | undefined {
  const match = WRITTEN.exec(text)
  if (match === null) return undefined
  const [, amount, unit] = match
  if (unit !== 'ms' && unit !== 's' && unit !== 'm' && unit !== 'h') return undefined
  return wholeMs(Number(amount), unit)
}

/** A bare number in the given unit, in whole ms; undefined where it is negative, not finite or longer than a hundred years. */
export function wholeMs(amount: number, unit: keyof typeof UNIT_MS): number | undefined {
  // Binary fractions first: 1.1 s is 1100.0000000000002 ms in binary.
  const ms = Math.ceil(Number((amount * UNIT_MS[unit]).toFixed(6)))
  return amount >= 0 && ms <= LONGEST_MS ? ms : undefined
}

/** The shortest exact way to write whole ms. */
export function formatDuration(ms: number): string {
  for (const unit of ['h', 'm', 's'] as const) {
    if (ms > 0 && ms % UNIT_MS[unit] === 0) return `${ms / UNIT_MS[unit]}${unit}`
  }
  return ms === 0 ? '0s' : `${ms}ms`
}
