/**
 * Policy: three layers ([policy], the first matching rule, the route's context), each of which must hold by itself.
 * Pure and synchronous; runs on every Check, hit or miss.
 */
import { membersOf } from './introspection.ts'
import { normalisePath, pathMatches } from './path.ts'
import type { CheckView, Claims, DenyReason, PolicyLayer, PolicyRule, PolicySettings } from './ports.ts'
import type { RoutePolicy } from './route.ts'

/** What policy knows before a token is looked at. */
export interface Requirements {
  /** Layers whose failure denies. */
  readonly enforced: readonly PolicyLayer[]
  /** Matching rules with `enforce = false` before the one that is enforced: their failure is only counted. */
  readonly observed: readonly PolicyLayer[]
  readonly anonymous: boolean
  /** Known without a token: `no_matching_rule` or `ambiguous_path`. */
  readonly refused: 'no_matching_rule' | 'ambiguous_path' | undefined
  readonly maxAgeMs: number | undefined
}

export interface Shortfall {
  readonly reason: DenyReason
  /** For `insufficient_scope`: what the layer asks for. */
  readonly scope: string
}

export interface Policy {
  requirements(check: CheckView, route: RoutePolicy): Requirements
}

export function createPolicy(settings: PolicySettings): Policy {
  const anyRuleHasPaths = settings.rules.some((rule) => rule.paths.length > 0)
  return {
    requirements(check, route) {
      const path = anyRuleHasPaths ? normalisePath(check.path) : ''
      const { enforced, observed } = path === undefined ? NO_RULE : match(settings.rules, check, path)
      return {
        enforced: enforced === undefined ? [settings, route] : [settings, enforced, route],
        observed,
        // A written anonymous=false on the route wins over the rules, of which each has to say so: on trial or not, "a token is required" stays.
        anonymous: route.anonymous ?? areAnonymous(enforced, observed),
        refused: refusal(path, enforced ?? observed[0], settings),
        maxAgeMs: route.maxAgeMs,
      }
    },
  }
}

function refusal(
  path: string | undefined,
  rule: PolicyRule | undefined,
  settings: PolicySettings,
): Requirements['refused'] {
  if (path === undefined) return 'ambiguous_path'
  return rule === undefined && settings.noMatch === 'deny' ? 'no_matching_rule' : undefined
}

interface Matching {
  /** The first that matches, rules on trial aside: what is only counted does not take the place of one that protects. */
  enforced: PolicyRule | undefined
  /** Those on trial before it. */
  observed: readonly PolicyRule[]
}

const NONE: readonly PolicyRule[] = []
const NO_RULE: Readonly<Matching> = { enforced: undefined, observed: NONE }

function match(rules: readonly PolicyRule[], check: CheckView, path: string): Readonly<Matching> {
  if (rules.length === 0) return NO_RULE
  const host = bareHost(check.host)
  const found: Matching = { enforced: undefined, observed: NONE }
  for (const rule of rules) {
    if (!covers(rule, check.method, host, path)) continue
    if (rule.enforce) {
      found.enforced = rule
      return found
    }
    found.observed = [...found.observed, rule]
  }
  return found
}

function areAnonymous(enforced: PolicyRule | undefined, observed: readonly PolicyRule[]): boolean {
  const isMatched = enforced !== undefined || observed.length > 0
  return isMatched && (enforced?.anonymous ?? true) && observed.every(({ anonymous }) => anonymous)
}

function covers(rule: PolicyRule, method: string, host: string, path: string): boolean {
  return (
    (rule.hosts.length === 0 || rule.hosts.some((pattern) => hostMatches(pattern, host))) &&
    (rule.methods.length === 0 || rule.methods.includes(method)) &&
    (rule.paths.length === 0 || rule.paths.some((pattern) => pathMatches(pattern, path)))
  )
}

/** Lower-cased, port and trailing dot cut. */
function bareHost(host: string): string {
  return host.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '')
}

function hostMatches(pattern: string, host: string): boolean {
  if (!pattern.startsWith('*.')) return host === pattern
  return host.length > pattern.length - 1 && host.endsWith(pattern.slice(1))
}

/** The checks in the order of the outcome table; the first that any layer fails counts. */
const CHECKS: readonly {
  readonly reason: DenyReason
  readonly holds: (layer: PolicyLayer, claims: Claims) => boolean
}[] = [
  { reason: 'wrong_issuer', holds: (layer, claims) => layer.issuer === undefined || layer.issuer === claims.iss },
  { reason: 'wrong_audience', holds: (layer, claims) => anyOf(layer.audience, claims.audience) },
  { reason: 'not_an_access_token', holds: (_, claims) => claims.isAccessToken },
  // DPoP and certificate proofs are a later part: until then a bound token is refused.
  { reason: 'binding_failed', holds: (_, claims) => !claims.isBound },
  {
    reason: 'insufficient_scope',
    holds: (layer, claims) =>
      layer.requiredScopes.every((scope) => claims.scopes.includes(scope)) && anyOf(layer.anyScopes, claims.scopes),
  },
  {
    reason: 'wrong_client',
    holds: (layer, claims) =>
      layer.clients.length === 0 || (claims.clientId !== undefined && layer.clients.includes(claims.clientId)),
  },
  { reason: 'missing_claim', holds: (layer, claims) => carriesAll(claims, layer.requiredClaims) },
]

/** What the token falls short of, or undefined. */
export function shortfall(layers: readonly PolicyLayer[], claims: Claims): Shortfall | undefined {
  for (const check of CHECKS) {
    for (const layer of layers) {
      if (!check.holds(layer, claims)) return { reason: check.reason, scope: scopeOf(check.reason, layer) }
    }
  }
  return undefined
}

function scopeOf(reason: DenyReason, layer: PolicyLayer): string {
  return reason === 'insufficient_scope' ? [...new Set([...layer.requiredScopes, ...layer.anyScopes])].join(' ') : ''
}

const anyOf = (wanted: readonly string[], held: readonly string[]): boolean =>
  wanted.length === 0 || wanted.some((word) => held.includes(word))

function carriesAll(claims: Claims, names: readonly string[]): boolean {
  if (names.length === 0) return true
  const members = membersOf(claims)
  // A null is absence (spec: tolerance cases).
  return names.every((name) => Object.hasOwn(members, name) && members[name] !== null)
}
