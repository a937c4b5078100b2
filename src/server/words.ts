/** Figures as people read them, for the status page. */

/** `ms` of at least 0: the two largest units. */
export function durationWords(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 10_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`
  const seconds = Math.floor(ms / 1_000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return minutes < 10 ? pair(minutes, 'min', seconds % 60, 's') : `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return pair(hours, 'h', minutes % 60, 'min')
  return pair(Math.floor(hours / 24), 'd', hours % 24, 'h')
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`
}

/** How long ago or ahead; `at` is ISO 8601. */
export function distanceWords(at: string, nowMs: number): string {
  const ms = Date.parse(at) - nowMs
  if (!Number.isFinite(ms)) return 'at an unknown time'
  if (Math.abs(ms) < 1_000) return 'just now'
  return ms < 0 ? `${durationWords(-ms)} ago` : `in ${durationWords(ms)}`
}

/** `2026-11-25 21:12:26 UTC`. */
export function instantWords(at: string): string {
  return `${at.slice(0, 19).replace('T', ' ')} UTC`
}

const counts = new Intl.NumberFormat('en')

export function countWords(count: number): string {
  return counts.format(count)
}

/** Never `100 %` where something is missing, nor `0 %` where something is there. */
export function shareWords(part: number, whole: number): string {
  if (whole === 0) return '0 %'
  const percent = (part / whole) * 100
  if (part > 0 && percent < 0.1) return 'under 0.1 %'
  if (part < whole && percent > 99.9) return 'over 99.9 %'
  return `${Number(percent.toFixed(1))} %`
}
