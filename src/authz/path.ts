/**
 * Path normalisation for rules: query cut off, `;params` cut from each segment, decoded once, repeated slashes collapsed,
 * dot segments resolved. A path that can be read in two ways has no normal form. Pure.
 */

// In the raw path: an encoded slash or backslash is a separator to some servers and text to others.
const RAW_AMBIGUOUS = /%2f|%5c/i
// After one decoding: what a second decoding, or a laxer server, would read differently.
const DECODED_AMBIGUOUS = /%(?:2e|2f|5c|00|25)|[\\\0#]/i
// Outside parameters: a delimiter that was hidden by the encoding.
const HIDDEN_DELIMITER = /[;?]/

/** The normal form, or undefined where the path is ambiguous. `path` is `:path`: query included, nothing decoded. */
export function normalisePath(path: string): string | undefined {
  const query = path.indexOf('?')
  const raw = query < 0 ? path : path.slice(0, query)
  if (!raw.startsWith('/')) return undefined
  if (RAW_AMBIGUOUS.test(raw)) return undefined
  // Without percent, semicolon, dot or double slash (nearly all paths) there is nothing to do.
  if (!/[%;.\\\0#\u0080-\uffff]|\/\//.test(raw)) return raw
  // The parameters are cut, but what is odd in them makes the path odd all the same.
  const whole = decodeOnce(raw)
  const decoded = decodeOnce(raw.replace(/;[^/]*/g, ''))
  if (whole === undefined || DECODED_AMBIGUOUS.test(whole)) return undefined
  if (decoded === undefined || HIDDEN_DELIMITER.test(decoded)) return undefined
  return resolveDots(decoded)
}

function decodeOnce(text: string): string | undefined {
  // A lone surrogate or a replacement character stands for bytes that were not UTF-8.
  if (!text.isWellFormed() || text.includes('\ufffd')) return undefined
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined // an invalid escape or invalid UTF-8: fail closed
  }
}

function resolveDots(path: string): string {
  const out: string[] = []
  const segments = path.split('/')
  for (const segment of segments) {
    if (segment === '' || segment === '.') continue
    if (segment === '..') out.pop()
    else out.push(segment)
  }
  const last = segments.at(-1)
  const isFolder = last === '' || last === '.' || last === '..'
  return `/${out.join('/')}${isFolder && out.length > 0 ? '/' : ''}`
}

/** Whether a normal path falls under a pattern: exact, or `/x/*` for `/x`, `/x/` and everything below. */
export function pathMatches(pattern: string, path: string): boolean {
  if (!pattern.endsWith('/*')) return path === pattern
  const folder = pattern.slice(0, -1)
  return path.startsWith(folder) || path === folder.slice(0, -1)
}
