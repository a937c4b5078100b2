/** Decision -> CheckResponse bytes. */
import type { Allowed, AllowedWithoutToken, CacheResult, Decision, Denied } from '../authz/ports.ts'
import { type RefusalSettings, refusalFor } from './refusal.ts'
import { checkResponse, DECISION_ID, DECISION_ID_LENGTH, type Metadata, removals, Template } from './reply-message.ts'
import {
  createClaimReader,
  type HeaderRules,
  headersFor,
  headersToRemove,
  type UpstreamHeader,
} from './upstream-headers.ts'

export interface ReplySettings extends RefusalSettings, HeaderRules {
  /** Claims for dynamic metadata besides the standard ones. */
  readonly metadataClaims: readonly string[]
}

export interface ReplyEncoder {
  /**
   * The CheckResponse for a decision; a fresh buffer every time. `decisionId`: 21 ASCII characters.
   * On a memory hit it is a copy of what the answer keeps, with two places filled in.
   */
  encode(decision: Decision, decisionId: string): Buffer
}

/** Scopes come from routes, and so do the texts of challenges: bounded, the oldest goes first. */
const MOST_TEMPLATES = 1024

/** Metadata members of an allow, which no claim may replace; those asked for besides stand between them. */
const FIRST_MEMBERS = ['reason', 'cache', 'sub', 'client_id', 'username', 'scope', 'iss', 'aud', 'exp'] as const
/** `patch` finds these two by their distance from the end. */
const LAST_MEMBERS = ['decision_id', 'max_age_seconds'] as const
const OWN_MEMBERS: ReadonlySet<string> = new Set([...FIRST_MEMBERS, ...LAST_MEMBERS])

/** Builds replies for one configuration; another encoder never uses what this one left in an answer's reply slot. */
export function createReplyEncoder(settings: ReplySettings): ReplyEncoder {
  const allHeaders = new Set(settings.upstreamHeaders.map(({ header }) => header))
  const removalsBesideAll = removals(headersToRemove(allHeaders, settings, false))
  const removalsBySet = new Map<string, Uint8Array>()
  const refusals = new Map<string, Template>()
  const withoutToken = new Map<string, Template>()
  const metadataClaims = [...new Set(settings.metadataClaims)].filter((name) => !OWN_MEMBERS.has(name))
  const names = [...FIRST_MEMBERS, ...metadataClaims, ...LAST_MEMBERS]

  const allow = ({ answer, cache, maxAgeSeconds }: Allowed, decisionId: string): Buffer => {
    const { claims } = answer
    const claimOf = createClaimReader(claims)
    const set = headersFor(claimOf, settings)
    // Nearly every answer has all of them.
    const remove = set.length === allHeaders.size ? removalsBesideAll : removalsBeside(set)
    const values = [
      'allowed',
      cache,
      claims.sub,
      claims.clientId,
      claims.username,
      presentList(claims.scopes),
      claims.iss,
      presentList(claims.audience),
      claims.expSec,
      ...metadataClaims.map(claimOf),
      decisionId,
      maxAgeSeconds,
    ]
    return checkResponse({ kind: 'ok', set, remove }, { names, values })
  }

  const removalsBeside = (set: readonly UpstreamHeader[]): Uint8Array =>
    remembered(removalsBySet, namesOf(set), () =>
      removals(headersToRemove(new Set(set.map(({ name }) => name)), settings, false)),
    )

  const withoutTokenTemplate = ({ reason, otherScheme }: AllowedWithoutToken): Template =>
    remembered(withoutToken, `${reason} ${otherScheme}`, () => {
      const remove = removals(headersToRemove(new Set(), settings, otherScheme))
      return new Template(checkResponse({ kind: 'ok', set: [], remove }, withoutClaims(reason, 'none')))
    })

  const refusalTemplate = (denied: Denied): Template =>
    remembered(
      refusals,
      `${denied.reason} ${denied.isOutage} ${denied.cache} ${denied.retryAfterSeconds} ${denied.scope}`,
      () => new Template(checkResponse(refusalFor(denied, settings), withoutClaims(denied.reason, denied.cache))),
    )

  const encoder: ReplyEncoder = {
    encode(decision, decisionId) {
      if (!decision.allow) return refusalTemplate(decision).fill(decisionId)
      if (decision.reason !== 'allowed') return withoutTokenTemplate(decision).fill(decisionId)
      if (decision.cache !== 'hit') return allow(decision, decisionId)
      const { reply: slot } = decision.answer
      const kept = slot.copy(encoder)
      if (kept !== undefined) return patch(kept, decisionId, decision.maxAgeSeconds)
      const reply = allow(decision, decisionId)
      slot.keep(encoder, reply)
      return reply
    },
  }
  return encoder
}

const DOUBLE = 8
/** Tags, lengths, name and double of `max_age_seconds`: all that comes behind the decision's id. */
const MAX_AGE_ENTRY = 30

/** A kept reply is new but for these. */
function patch(reply: Buffer, decisionId: string, maxAgeSeconds: number): Buffer {
  reply.write(decisionId, reply.length - MAX_AGE_ENTRY - DECISION_ID_LENGTH, DECISION_ID_LENGTH, 'latin1')
  reply.writeDoubleLE(maxAgeSeconds, reply.length - DOUBLE)
  return reply
}

const withoutClaims = (reason: string, cache: CacheResult): Metadata => ({
  names: ['reason', 'cache', 'decision_id'],
  values: [reason, cache, DECISION_ID],
})

function namesOf(headers: readonly UpstreamHeader[]): string {
  let names = ''
  for (const { name } of headers) names += `${name} `
  return names
}

/** An empty list is an absent one. */
function presentList(items: readonly string[]): readonly string[] | undefined {
  return items.length === 0 ? undefined : items
}

function remembered<V>(map: Map<string, V>, key: string, make: () => V): V {
  const known = map.get(key)
  if (known !== undefined) return known
  const value = make()
  if (map.size >= MOST_TEMPLATES) {
    const oldest = map.keys().next()
    if (!oldest.done) map.delete(oldest.value)
  }
  map.set(key, value)
  return value
}
