/** Decision -> CheckResponse bytes. */
import type { ActiveAnswer, AllowedWithoutToken, CacheResult, Claims, Decision, Denied } from '../authz/ports.ts'
import { type RefusalSettings, refusalFor } from './refusal.ts'
import { checkResponse, removals } from './reply-message.ts'
import type { StructMember } from './struct.ts'
import { createClaimReader, type HeaderRules, headersFor, headersToRemove } from './upstream-headers.ts'
import { DECISION_ID, MAX_AGE_SECONDS, type Piece, type Template } from './wire-writer.ts'

export interface ReplySettings extends RefusalSettings, HeaderRules {
  /** Claims for dynamic metadata besides the standard ones. */
  readonly metadataClaims: readonly string[]
}

export interface ReplyEncoder {
  /**
   * The CheckResponse for a decision; a fresh buffer every time. `decisionId`: 21 ASCII characters.
   * On a memory hit it is a copy of what the answer keeps, with two slots filled in.
   */
  encode(decision: Decision, decisionId: string): Buffer
}

/** Scopes come from routes, and so do the texts of challenges: bounded, the oldest goes first. */
const MOST_TEMPLATES = 1024

/** Metadata members of our own, which no claim may replace. */
const OWN_MEMBERS: ReadonlySet<string> = new Set([
  'reason',
  'decision_id',
  'cache',
  'sub',
  'client_id',
  'username',
  'scope',
  'iss',
  'aud',
  'exp',
  'max_age_seconds',
])

/** Builds replies for one configuration; another encoder never uses what this one left in an answer's reply slot. */
export function createReplyEncoder(settings: ReplySettings): ReplyEncoder {
  const removalsBySet = new Map<string, Piece>()
  const refusals = new Map<string, Template>()
  const withoutToken = new Map<string, Template>()

  const allowTemplate = (answer: ActiveAnswer, cache: CacheResult): Template => {
    const set = headersFor(answer.claims, settings)
    const names = set.map((header) => header.name)
    const remove = remembered(removalsBySet, names.join(' '), () =>
      removals(headersToRemove(new Set(names), settings, false)),
    )
    return checkResponse({ kind: 'ok', set, remove }, [
      ...decided('allowed', cache),
      ...claimMembers(answer.claims, settings.metadataClaims),
      ['decision_id', DECISION_ID],
      ['max_age_seconds', MAX_AGE_SECONDS],
    ])
  }

  const withoutTokenTemplate = (decision: AllowedWithoutToken): Template =>
    remembered(withoutToken, `${decision.reason} ${decision.otherScheme}`, () => {
      const remove = removals(headersToRemove(new Set(), settings, decision.otherScheme))
      return checkResponse({ kind: 'ok', set: [], remove }, [
        ...decided(decision.reason, 'none'),
        ['decision_id', DECISION_ID],
      ])
    })

  const refusalTemplate = (denied: Denied): Template =>
    remembered(refusals, `${denied.reason} ${denied.cache} ${denied.retryAfterSeconds} ${denied.scope}`, () =>
      checkResponse(refusalFor(denied, settings), [
        ...decided(denied.reason, denied.cache),
        ['decision_id', DECISION_ID],
      ]),
    )

  const encoder: ReplyEncoder = {
    encode(decision, decisionId) {
      if (!decision.allow) return refusalTemplate(decision).fill(decisionId, 0)
      if (decision.reason !== 'allowed') return withoutTokenTemplate(decision).fill(decisionId, 0)
      const { answer, cache, maxAgeSeconds } = decision
      if (cache !== 'hit') return allowTemplate(answer, cache).fill(decisionId, maxAgeSeconds)
      const kept = answer.reply.copy(encoder)
      if (kept !== undefined) return patch(kept, decisionId, maxAgeSeconds)
      const reply = allowTemplate(answer, cache).fill(decisionId, maxAgeSeconds)
      answer.reply.keep(encoder, reply)
      return reply
    },
  }
  return encoder
}

/** Behind the decision id of an allow with a token comes `max_age_seconds` alone, whose double is the last 8 bytes. */
const MAX_AGE_ENTRY = 30

function patch(reply: Buffer, decisionId: string, maxAgeSeconds: number): Buffer {
  reply.write(decisionId, reply.length - MAX_AGE_ENTRY - DECISION_ID.width, DECISION_ID.width, 'latin1')
  reply.writeDoubleLE(maxAgeSeconds, reply.length - MAX_AGE_SECONDS.width)
  return reply
}

function decided(reason: string, cache: CacheResult): readonly StructMember[] {
  return [
    ['reason', reason],
    ['cache', cache],
  ]
}

/** Absent claims are left out; an empty list is an absent one. */
function claimMembers(claims: Claims, more: readonly string[]): readonly StructMember[] {
  const members: StructMember[] = [
    ['sub', claims.sub],
    ['client_id', claims.clientId],
    ['username', claims.username],
    ['scope', presentList(claims.scopes)],
    ['iss', claims.iss],
    ['aud', presentList(claims.audience)],
    ['exp', claims.expSec],
  ]
  const claimOf = createClaimReader(claims)
  for (const name of new Set(more)) {
    if (!OWN_MEMBERS.has(name)) members.push([name, claimOf(name)])
  }
  return members
}

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
