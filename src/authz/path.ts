/**
 * Path normalisation for rules: query cut off, `;params` cut from each segment, decoded once, repeated slashes collapsed,
 * dot segments resolved. A path that can be read in two ways has no normal form. Pure.
 * Which ways: test/property/authz-path.test.ts reads paths as many kinds of servers do.
 */

// In the raw path, parameters included: to some servers an encoded delimiter is a delimiter, to others it is text.
const RAW_AMBIGUOUS = /%(?:2f|5c|3b|3f|23)/i
// After one decoding: what a second decoding or a laxer server would read differently. Parsers of URLs drop tab, CR and LF,
// and cut other controls at the end.
const DECODED_AMBIGUOUS = /%[0-9a-f]{2}|[\\#\p{Cc}]/iu
// Servers differ in whether they cut parameters, or spaces, before they resolve dots: `/a/..;x/b` (Tomcat), `/a/.. /b`.
const DRESSED_DOTS = /\/\.\.?(?: +(?:;[^/]*)?|;[^/]*)(?:\/|$)/

/** The normal form, or undefined where the path is ambiguous. `path` is `:path`: query included, nothing decoded. */
export function normalisePath(path: string): string | undefined {
  const query = path.indexOf('?')
  const raw = query < 0 ? path : path.slice(0, query)
  if (!raw.startsWith('/')) return undefined
  if (RAW_AMBIGUOUS.test(raw)) return undefined
  // Without percent, semicolon, dot or double slash (nearly all paths) there is nothing to do.
  if (!/[%;.\\#\p{Cc}\u{80}-\u{10ffff}]|\/\//u.test(raw)) return raw
  const decoded = decodeOnce(raw)
  if (decoded === undefined || DECODED_AMBIGUOUS.test(decoded) || DRESSED_DOTS.test(decoded)) return undefined
  // No delimiter was hidden by the encoding: the parameters are where they were.
  return resolveDots(decoded.replace(/;[^/]*/g, ''))
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

/** Undefined where it matters whether slashes are collapsed before (Tomcat, nginx) or after (RFC 3986 section 5.2.4): `/a//../b`. */
function resolveDots(path: string): string | undefined {
  const segments = path.split('/').slice(1)
  const names = walk(collapsed(segments)).join('/')
  if (collapsed(walk(segments)).join('/') !== names) return undefined
  const last = segments.at(-1)
  const isFolder = last === '' || last === '.' || last === '..'
  return `/${names}${isFolder && names !== '' ? '/' : ''}`
}

const collapsed = (segments: readonly string[]): readonly string[] => segments.filter((segment) => segment !== '')

function walk(segments: readonly string[]): readonly string[] {
  const walked: string[] = []
  for (const segment of segments) {
    if (segment === '.') continue
    if (segment === '..') walked.pop()
    else walked.push(segment)
  }
  return walked
}

/** Whether a normal path falls under a pattern: exact, or `/x/*` for `/x`, `/x/` and everything below. */
export function pathMatches(pattern: string, path: string): boolean {
  if (!pattern.endsWith('/*')) return path === pattern
  const folder = pattern.slice(0, -1)
  return path.startsWith(folder) || path === folder.slice(0, -1)
}
