/** What an introspection answer means in time: RFC 7662 sections 2.2 and 4. Pure. */
import type { ActiveAnswer, Claims, DenyReason, InactiveAnswer, ReplySlot } from './ports.ts'

export interface LifeSettings {
  /** `tokenCacheExpiryTime`, ms; 0 where caching is off. */
  readonly activeLifeMs: number
  /** `inactiveExpiryTime`, ms; 0 where caching is off. */
  readonly inactiveLifeMs: number
  /** Forgives clock differences on a fresh answer only. */
  readonly timestampSkewMs: number
}

/** Of an answer just made: it is the memory's copy that keeps a reply. */
const NOT_REMEMBERED: ReplySlot = Object.freeze({ copy: () => undefined, keep() {} })

/** An active answer with its life: min(`activeLifeMs`, `exp` - now), 0 where that is under 1 ms or `nbf` has not come. */
export function activeAnswer(
  claims: Claims,
  nowWallMs: number,
  nowMonotonicMs: number,
  settings: LifeSettings,
): ActiveAnswer {
  return Object.freeze({
    active: true,
    claims,
    storedAtMs: nowMonotonicMs,
    lifeMs: activeLife(claims, nowWallMs, settings.activeLifeMs),
    reply: NOT_REMEMBERED,
  })
}

function activeLife(claims: Claims, nowWallMs: number, longestMs: number): number {
  // An answer accepted only through the skew is not remembered.
  if (claims.nbfSec !== undefined && claims.nbfSec * 1000 > nowWallMs) return 0
  // RFC 7662 section 4: never beyond exp.
  const untilExpMs = claims.expSec === undefined ? longestMs : claims.expSec * 1000 - nowWallMs
  return Math.max(0, Math.floor(Math.min(longestMs, untilExpMs)))
}

export function inactiveAnswer(nowMonotonicMs: number, settings: LifeSettings): InactiveAnswer {
  return Object.freeze({
    active: false,
    storedAtMs: nowMonotonicMs,
    lifeMs: Math.max(0, Math.floor(settings.inactiveLifeMs)),
  })
}

/**
 * Every member as the key manager sent it; own properties only (`Object.hasOwn`). Parsed anew at each call: few need it,
 * and as text an answer takes a third of the memory and gives the collector nothing to walk.
 */
export function membersOf({ json }: Claims): Readonly<Record<string, unknown>> {
  const members: Readonly<Record<string, unknown>> = JSON.parse(json)
  return members
}

/** No shorter number is changed by being read. */
const LONG_DIGITS = /\d{16}/

/**
 * As `membersOf`, but a number that a double cannot hold is the text it was written as: two long user ids must not become
 * one. Those are integers beyond 2^53 and fractions of more digits than a double has; only a text with a run of 16 digits
 * is searched for them. For what leaves the sidecar; policy asks only whether a member is there.
 */
export function writtenMembersOf(claims: Claims): Readonly<Record<string, unknown>> {
  if (!LONG_DIGITS.test(claims.json)) return membersOf(claims)
  const members: Readonly<Record<string, unknown>> = JSON.parse(claims.json, writtenNumber)
  return members
}

/** `context.source`: TC39's proposal "JSON.parse source text access". */
function writtenNumber(_: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || context?.source === undefined) return value
  const { source } = context
  const isChanged = /^-?\d+$/.test(source) || String(value) !== source
  return isChanged && LONG_DIGITS.test(source) ? source : value
}

/** `expired_token`, `premature_token` or undefined. `skewMs` is 0 for a remembered answer. */
export function untimely(claims: Claims, nowWallMs: number, skewMs: number): DenyReason | undefined {
  if (claims.expSec !== undefined && claims.expSec * 1000 + skewMs <= nowWallMs) return 'expired_token'
  if (claims.nbfSec !== undefined && claims.nbfSec * 1000 - skewMs > nowWallMs) return 'premature_token'
  return undefined
}

/** Whole seconds for which a remembered answer stays good, by both clocks; 0 when it is not remembered. */
export function secondsGood(answer: ActiveAnswer, nowWallMs: number, nowMonotonicMs: number): number {
  const byLife = answer.lifeMs - (nowMonotonicMs - answer.storedAtMs)
  const byExp = answer.claims.expSec === undefined ? byLife : answer.claims.expSec * 1000 - nowWallMs
  return Math.max(0, Math.floor(Math.min(byLife, byExp) / 1000))
}
