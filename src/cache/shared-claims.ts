/**
 * What many tokens have in common, kept once: the members of an answer that every Check is asked about. As a key manager
 * has few clients, audiences and sets of scopes, a remembered token costs one reference to it.
 */
import { hash } from 'node:crypto'
import type { Claims } from '../authz/ports.ts'

export type SharedClaims = Pick<
  Claims,
  'clientId' | 'iss' | 'audience' | 'scopes' | 'tokenType' | 'isAccessToken' | 'isBound'
>

/** How many combinations are held, and their characters together: what a server repeats is mostly short and little. */
const MOST = 1024
const MOST_CHARACTERS = 1_000_000
/** Longer ones are looked up by their digest. */
const LONGEST_KEY = 4096

/** Gives equal claims the same frozen object, as far as the bounds go. */
export function createSharedClaims(): (claims: SharedClaims) => SharedClaims {
  const known = new Map<string, SharedClaims>()
  let held = 0
  let last: SharedClaims | undefined
  return (claims) => {
    if (last === undefined || !areEqual(last, claims)) last = find(claims)
    return last
  }

  function find({ clientId, iss, audience, scopes, tokenType, isAccessToken, isBound }: SharedClaims): SharedClaims {
    // JSON tells everything apart that these members can hold: undefined is null, which no text or list is.
    const text = JSON.stringify([clientId, iss, audience, scopes, tokenType, isAccessToken, isBound])
    const key = text.length > LONGEST_KEY ? hash('sha256', text) : text
    const before = known.get(key)
    if (before !== undefined) return before
    const shared = Object.freeze({
      clientId,
      iss,
      audience: Object.freeze([...audience]),
      scopes: Object.freeze([...scopes]),
      tokenType,
      isAccessToken,
      isBound,
    })
    if (known.size >= MOST || held + text.length > MOST_CHARACTERS) {
      known.clear()
      held = 0
    }
    known.set(key, shared)
    held += text.length
    return shared
  }
}

/** The next token is most often like the last one. */
function areEqual(a: SharedClaims, b: SharedClaims): boolean {
  return (
    a.clientId === b.clientId &&
    a.iss === b.iss &&
    a.tokenType === b.tokenType &&
    a.isAccessToken === b.isAccessToken &&
    a.isBound === b.isBound &&
    areSame(a.scopes, b.scopes) &&
    areSame(a.audience, b.audience)
  )
}

function areSame(a: readonly string[], b: readonly string[]): boolean {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let index = 0; index < a.length; index += 1) if (a[index] !== b[index]) return false
  return true
}
