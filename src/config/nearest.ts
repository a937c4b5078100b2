/** Suggestions for misspelt names. */

/** Levenshtein distance: insertions, deletions and substitutions between two texts. */
export function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const substituted = (previous[column - 1] ?? 0) + (from[row - 1] === to[column - 1] ? 0 : 1)
      current.push(Math.min(substituted, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1))
    }
    previous = current
  }
  return previous[to.length] ?? 0
}

/** The candidate with the fewest edits, case disregarded; undefined where there are none or all are beyond `within`. */
export function nearest(
  name: string,
  candidates: readonly string[],
  within = Number.POSITIVE_INFINITY,
): string | undefined {
  let best: string | undefined
  let bestDistance = within + 1
  const lower = name.toLowerCase()
  for (const candidate of candidates) {
    if (Math.abs(lower.length - candidate.length) > within) continue
    const distance = editDistance(lower, candidate.toLowerCase())
    if (distance < bestDistance || (best === undefined && distance <= within)) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}
