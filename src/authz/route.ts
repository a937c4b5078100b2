/**
 * A route's policy out of Envoy's `context_extensions`: operator configuration, bound to the route.
 * Compiled once per distinct context. An invalid value or a misspelt key is a deny, never ignored.
 */
import type { CheckView, PolicyLayer } from './ports.ts'

export interface RoutePolicy extends PolicyLayer {
  /** Undefined: the route says nothing; false wins over a rule that says anonymous. */
  readonly anonymous: boolean | undefined
  /** An older answer is introspected again; undefined: any age within its life. */
  readonly maxAgeMs: number | undefined
}

export type CompiledRoute =
  | { readonly ok: true; readonly policy: RoutePolicy }
  | { readonly ok: false; readonly detail: string }

const KNOWN = ['scopes', 'any_scopes', 'audience', 'issuer', 'clients', 'anonymous', 'max_age'] as const
// Refused, and so is what is near them: ignoring one would drop a check.
const LATER = ['key_manager', 'acr_values', 'max_auth_age'] as const
const SLIPS: ReadonlyMap<string, (typeof KNOWN)[number]> = new Map([
  ['required_scopes', 'scopes'],
  ['client_id', 'clients'],
  ['aud', 'audience'],
  ['iss', 'issuer'],
])
/** Two edits make `app` and `id` of these. */
const SHORT = 3

const NO_ROUTE: CompiledRoute = Object.freeze({
  ok: true,
  policy: Object.freeze({
    requiredScopes: [],
    anyScopes: [],
    audience: [],
    issuer: undefined,
    clients: [],
    requiredClaims: [],
    anonymous: undefined,
    maxAgeMs: undefined,
  }),
})

const SCOPE_WORD = /^[\x21\x23-\x5b\x5d-\x7e]+$/ // RFC 6749 section 3.3
const MAX_AGE = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Reads the extensions; pure. */
export function compileRoute(extensions: ReadonlyMap<string, string>): CompiledRoute {
  if (extensions.size === 0) return NO_ROUTE
  for (const [key, value] of extensions) {
    if (isKnown(key)) {
      if (value.trim() === '') return invalid(`the route's context key ${key} is empty`)
      continue
    }
    const lower = key.toLowerCase()
    const later = LATER.find((name) => isNear(lower, name))
    if (later !== undefined) return invalid(`the route's context asks for ${later}, which is not supported`)
    const slip = [...KNOWN, ...SLIPS.keys()].find((name) => isNear(lower, name))
    if (slip !== undefined) {
      return invalid(`the route's context has an unknown key; did you mean ${SLIPS.get(slip) ?? slip}?`)
    }
  }
  const words = (key: string): readonly string[] => (extensions.get(key) ?? '').split(' ').filter((word) => word !== '')
  const requiredScopes = words('scopes')
  const anyScopes = words('any_scopes')
  const issuer = extensions.get('issuer')
  const anonymous = extensions.get('anonymous')
  const maxAge = extensions.get('max_age')
  for (const scope of [...requiredScopes, ...anyScopes]) {
    if (!SCOPE_WORD.test(scope))
      return invalid("the route's context names a scope that RFC 6749 section 3.3 does not allow")
  }
  if (issuer !== undefined && /\s/.test(issuer)) return invalid("the route's context key issuer holds a space")
  if (anonymous !== undefined && anonymous !== 'true' && anonymous !== 'false') {
    return invalid("the route's context key anonymous must be true or false")
  }
  const maxAgeMs = maxAge === undefined ? undefined : readMaxAge(maxAge)
  if (maxAge !== undefined && maxAgeMs === undefined) {
    return invalid("the route's context key max_age must be seconds or a duration such as 30s")
  }
  return {
    ok: true,
    policy: {
      requiredScopes,
      anyScopes,
      audience: words('audience'),
      issuer,
      clients: words('clients'),
      requiredClaims: [],
      anonymous: anonymous === undefined ? undefined : anonymous === 'true',
      maxAgeMs,
    },
  }
}

const invalid = (detail: string): CompiledRoute => ({ ok: false, detail })
const isKnown = (key: string): boolean => KNOWN.some((known) => known === key)

function readMaxAge(text: string): number | undefined {
  const match = MAX_AGE.exec(text)
  const factor = match === null ? undefined : UNIT_MS[match[2] ?? 's']
  const ms = match === null || factor === undefined ? Number.NaN : Number(match[1]) * factor
  return Number.isSafeInteger(Math.floor(ms)) ? Math.floor(ms) : undefined
}

/** Levenshtein distance of at most 2, of at most 1 from a short name; by one row of the matrix. */
function isNear(a: string, b: string): boolean {
  const most = b.length <= SHORT ? 1 : 2
  if (Math.abs(a.length - b.length) > most) return false
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return (row[b.length] ?? 3) <= most
}

const MAX_ROUTES = 1024
/** Wire bytes of one context. Envoy's configuration holds them: nobody writes as many. */
const MAX_CONTEXT_BYTES = 65_536

/** Compiled routes by the wire bytes of their context; a bounded map, the oldest goes first. */
export function createRoutes(): (check: CheckView) => CompiledRoute {
  const compiled = new Map<string, CompiledRoute>()
  return (check) => {
    if (check.contextKey === '') return NO_ROUTE
    if (check.contextKey.length > MAX_CONTEXT_BYTES) return invalid("the route's context is longer than 64 KiB")
    const known = compiled.get(check.contextKey)
    if (known !== undefined) return known
    const route = compileRoute(check.contextExtensions())
    if (compiled.size >= MAX_ROUTES) {
      const oldest = compiled.keys().next()
      if (!oldest.done) compiled.delete(oldest.value)
    }
    compiled.set(check.contextKey, route)
    return route
  }
}
