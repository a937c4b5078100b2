/** Which headers an allow sets for the upstream and which it removes. Pure. */
import { writtenMembersOf } from '../authz/introspection.ts'
import type { Claims } from '../authz/ports.ts'

/** Product section 2.2: a longer value is dropped, and the header removed. */
const LONGEST_VALUE = 8192

export interface HeaderRules {
  /** Lower-case header names, each with the claim that fills it; of two entries for one header the first with a value counts. */
  readonly upstreamHeaders: readonly { readonly header: string; readonly claim: string }[]
  /** Every header this sidecar could set, those switched off included. */
  readonly managedHeaders: readonly string[]
  readonly credentials: { readonly header: string; readonly remove: boolean }
}

/** One header for the upstream; the value is 0x20-0x7E and never empty. */
export interface UpstreamHeader {
  readonly name: string
  readonly value: string
}

/** The headers that an answer's claims fill, in the order of the configuration; no name twice. */
export function headersFor(claimOf: ClaimReader, rules: HeaderRules): readonly UpstreamHeader[] {
  const headers: UpstreamHeader[] = []
  for (const { header, claim } of rules.upstreamHeaders) {
    if (isSet(headers, header)) continue
    const value = headerValue(claimOf(claim))
    if (value === undefined) continue
    headers.push({ name: header, value })
  }
  return headers
}

function isSet(headers: readonly UpstreamHeader[], name: string): boolean {
  for (const header of headers) if (header.name === name) return true
  return false
}

/**
 * What an allow that sets `names` removes, whether or not the client sent it: every other managed header, what upstreams
 * take for a managed header or for the credentials, and the credentials themselves where the configuration says so or `dropCredentials`. Never a name that
 * is set: Envoy removes after it sets.
 */
export function headersToRemove(
  names: ReadonlySet<string>,
  rules: HeaderRules,
  dropCredentials: boolean,
): readonly string[] {
  const removed = new Set<string>()
  for (const { header } of rules.upstreamHeaders) removed.add(header)
  for (const header of rules.managedHeaders) removed.add(header)
  for (const header of [...removed]) for (const spelling of spellingsOf(header)) removed.add(spelling)
  const { header, remove } = rules.credentials
  // What reads like the credentials was never looked at.
  for (const spelling of spellingsOf(header)) if (spelling !== header) removed.add(spelling)
  if (remove || dropCredentials) removed.add(header)
  return [...removed].filter((name) => !names.has(name) && !name.startsWith(':') && name !== 'host')
}

/** Twice as many names for each dash, in every reply: of a name with more dashes the mixed spellings are not removed. */
const MOST_DASHES = 4

/** CGI and WSGI read `x-auth-subject`, `x_auth_subject` and every mix of the two as one `HTTP_X_AUTH_SUBJECT`. */
function spellingsOf(header: string): readonly string[] {
  const [first = '', ...words] = header.split(/[-_]/)
  if (words.length > MOST_DASHES) return [header.replaceAll('-', '_'), header.replaceAll('_', '-')]
  return words.reduce((spelt, word) => spelt.flatMap((start) => [`${start}-${word}`, `${start}_${word}`]), [first])
}

/** A claim's value by its name in the configuration; undefined: the answer has none. */
export type ClaimReader = (name: string) => unknown

/**
 * Reads claims by their names in the configuration; `scope` and `client_id` as the answer was read, not as it was spelt.
 * A number that a double cannot hold is its digits, as text. The answer is parsed once, and only where a name asks for more than every answer is read for.
 */
export function createClaimReader(claims: Claims): ClaimReader {
  let members: Readonly<Record<string, unknown>> | undefined
  return (name) => {
    switch (name) {
      case 'sub':
        return claims.sub
      case 'username':
        return claims.username
      case 'client_id':
        return claims.clientId
      case 'scope':
        return claims.scopes.join(' ')
      default:
        members ??= writtenMembersOf(claims)
        return Object.hasOwn(members, name) ? members[name] : undefined
    }
  }
}

/**
 * A claim as a header value: 0x21-0x7E as they are, spaces between them too, all else percent-encoded UTF-8.
 * CR, LF and NUL so never leave. Undefined: no value, an empty one, or one over 8 KiB.
 */
export function headerValue(claim: unknown): string | undefined {
  const value = textOf(claim)
  // Encoding never shortens.
  if (value === undefined || value === '' || value.length > LONGEST_VALUE) return undefined
  const encoded = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value) ? value : percentEncode(value)
  return encoded.length > LONGEST_VALUE ? undefined : encoded
}

function textOf(claim: unknown): string | undefined {
  if (claim === null || claim === undefined) return undefined
  if (typeof claim === 'object') {
    if (!Array.isArray(claim)) return JSON.stringify(claim)
    const words = claim.map(wordOf)
    return words.includes(undefined) ? JSON.stringify(claim) : words.join(' ')
  }
  return wordOf(claim)
}

function wordOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return String(value)
  // JSON.parse reads 1e999 as Infinity: no value rather than a word nobody sent.
  return typeof value === 'number' && Number.isFinite(value) ? String(value) : undefined
}

function percentEncode(value: string): string {
  const bytes = Buffer.from(value, 'utf8')
  let first = 0
  while (bytes[first] === 0x20) first += 1
  let last = bytes.length - 1
  while (bytes[last] === 0x20) last -= 1
  let encoded = ''
  for (const [at, byte] of bytes.entries()) {
    const isPlain = (byte >= 0x21 && byte <= 0x7e) || (byte === 0x20 && at > first && at < last)
    encoded += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}
