/** Members of an active answer -> Claims, or why not (RFC 7662 section 2.2). `null` for an optional member is absence. */
import type { Claims } from '../authz/ports.ts'

/** JSON object whose members are read as own properties only: `__proto__` is a name like any other. */
export type Members = Readonly<Record<string, unknown>>

/** Thrown and caught inside this folder only; `message` names the member, never its value. */
export class MalformedMember extends Error {}

/** Numbers from here on are not exact: "never expires" in `exp`, absent in `nbf` (C14: WSO2 sends 2^63-1). */
const NEVER = 2 ** 53

const NOT_ACCESS_TOKENS: ReadonlySet<string> = new Set(['refresh', 'refresh_token', 'offline', 'id', 'id_token'])

export interface ClaimOptions {
  /** Accept `exp` and `nbf` as numeric strings. */
  readonly lenientExp: boolean
  /** The JSON text that `members` were read from. */
  readonly text: string
}

/** Longest text of scopes whose words are kept, characters, and how many are: what a server repeats is short, and little. */
const LONGEST_KEPT = 2048
const MOST_KEPT = 1024

/** By the text that was split. */
const scopesOf = new Map<string, readonly string[]>()

/** Throws MalformedMember. */
export function readClaims(members: Members, options: ClaimOptions): Claims {
  const identifier = (name: string): string | undefined => readIdentifier(members, name, options.text)
  identifier('jti')
  const cnf = read(members, 'cnf')
  if (cnf !== undefined && !isObject(cnf)) throw new MalformedMember('cnf is not an object')
  const nbfSec = readSeconds(members, 'nbf', options.lenientExp)
  const expSec = readSeconds(members, 'exp', options.lenientExp)

  return Object.freeze({
    sub: identifier('sub'),
    username: identifier('username'),
    clientId: identifier('client_id') ?? identifier('azp'),
    iss: readText(members, 'iss'),
    audience: Object.freeze(readList(members, 'aud')),
    scopes: readScopes(members),
    tokenType: readText(members, 'token_type'),
    expSec: expSec !== undefined && expSec >= NEVER ? undefined : expSec,
    nbfSec: nbfSec !== undefined && nbfSec >= NEVER ? undefined : nbfSec,
    isAccessToken: !namesAnotherToken(members, 'token_use', 'token_type', 'typ'),
    isBound: cnf !== undefined && Object.keys(cnf).length > 0,
    json: options.text,
  })
}

/** An own member, `null` read as absence. */
export function read(members: Members, name: string): unknown {
  return Object.hasOwn(members, name) ? (members[name] ?? undefined) : undefined
}

export function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function readText(members: Members, name: string): string | undefined {
  const value = read(members, name)
  if (value === undefined || typeof value === 'string') return value
  throw new MalformedMember(`${name} is not a string`)
}

function readList(members: Members, name: string): readonly string[] {
  const value = read(members, name)
  if (value === undefined) return []
  if (typeof value === 'string') return [value]
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value
  throw new MalformedMember(`${name} is neither a string nor a list of strings`)
}

/** SimpleIdServer and Synapse send a list, Gluu says `scopes`. */
function readScopes(members: Members): readonly string[] {
  const name = read(members, 'scope') === undefined ? 'scopes' : 'scope'
  const items = readList(members, name)
  const [text = ''] = items
  if (items.length > 1 || text.length > LONGEST_KEPT) return Object.freeze(items.flatMap(words))
  const known = scopesOf.get(text)
  if (known !== undefined) return known
  const scopes = Object.freeze(words(text))
  if (scopesOf.size >= MOST_KEPT) scopesOf.clear()
  scopesOf.set(text, scopes)
  return scopes
}

const words = (text: string): readonly string[] => text.split(' ').filter((word) => word !== '')

function readIdentifier(members: Members, name: string, text: string): string | undefined {
  const value = read(members, name)
  if (value === undefined || typeof value === 'string') return value
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new MalformedMember(`${name} is not a string`)
  if (!Number.isInteger(value)) return String(value)
  // Two long numbers must not become one user: take the digits as they were written.
  return Number.isSafeInteger(value) ? String(value) : (writtenDigits(text, name) ?? BigInt(value).toString())
}

function writtenDigits(text: string, name: string): string | undefined {
  const sources = new Map<object, string>()
  const root: unknown = JSON.parse(text, function (this: object, key, value, context?: { source?: string }) {
    if (key === name && context?.source !== undefined) sources.set(this, context.source)
    return value
  })
  const source = isObject(root) ? sources.get(root) : undefined
  return source !== undefined && /^-?\d+$/.test(source) ? source : undefined
}

/** Whole seconds; a fraction is floored. Anything that is not a finite number is malformed, never "no expiry" (C13). */
function readSeconds(members: Members, name: 'exp' | 'nbf', lenient: boolean): number | undefined {
  const value = read(members, name)
  if (value === undefined) return undefined
  const seconds = lenient && typeof value === 'string' && /^-?\d+(?:\.\d+)?$/.test(value) ? Number(value) : value
  if (typeof seconds !== 'number' || !Number.isFinite(seconds)) {
    throw new MalformedMember(
      typeof value === 'string'
        ? `${name} is a string (keyManager.lenientExp accepts digits)`
        : `${name} is not a number`,
    )
  }
  return Math.floor(seconds) + 0
}

function namesAnotherToken(members: Members, ...names: readonly string[]): boolean {
  for (const name of names) {
    const value = read(members, name)
    if (typeof value === 'string' && NOT_ACCESS_TOKENS.has(value.toLowerCase())) return true
  }
  return false
}
