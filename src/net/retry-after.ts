/** `Retry-After` of a 429 (RFC 9110 section 10.2.3): seconds or an HTTP date. */

/** No server may silence us for longer: product section 4. */
const LONGEST_MS = 10_000
/** For an absent or unreadable value. */
const DEFAULT_MS = 1_000

/** asctime's form, the one of the three without a zone: UTC all the same (RFC 9110 section 5.6.7). */
const WITHOUT_ZONE = / \d{4}$/
const HTTP_DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? /

/** Whole ms from 0 to 10,000; 1,000 where the value is absent or neither seconds nor a date. */
export function readRetryAfterMs(value: unknown, nowWallMs: number): number {
  if (typeof value !== 'string') return DEFAULT_MS
  const text = value.trim()
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1_000, LONGEST_MS)
  if (!HTTP_DATE.test(text)) return DEFAULT_MS
  const at = Date.parse(WITHOUT_ZONE.test(text) ? `${text} GMT` : text)
  if (!Number.isFinite(at)) return DEFAULT_MS
  return Math.min(Math.max(Math.ceil(at - nowWallMs), 0), LONGEST_MS)
}
