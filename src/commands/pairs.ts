/** `KEY=VALUE`, repeated. */

/** Undefined where one of them has no key; the last of equal keys wins. */
export function readPairs(written: readonly string[]): Map<string, string> | undefined {
  const pairs = new Map<string, string>()
  for (const one of written) {
    const equals = one.indexOf('=')
    if (equals < 1) return undefined
    pairs.set(one.slice(0, equals), one.slice(equals + 1))
  }
  return pairs
}
