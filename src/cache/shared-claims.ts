/**
 * What many tokens have in common, kept once: the members of an answer that every Check is asked about. As a key manager
 * has few clients, audiences and sets of scopes, a remembered token costs one reference to it.
 */
import type { Claims } from '../authz/ports.ts'

export type SharedClaims = Pick<
  Claims,
  'clientId' | 'iss' | 'audience' | 'scopes' | 'tokenType' | 'isAccessToken' | 'isBound'
>

/** Longest combination that is looked up, characters, and how many are held: what a server repeats is short and little. */
const LONGEST = 4096
const MOST = 1024

/** Gives equal claims the same frozen object, as far as the bounds go. */
export function createSharedClaims(): (claims: SharedClaims) => SharedClaims {
  const known = new Map<string, SharedClaims>()
  let last: SharedClaims | undefined
  return (claims) => {
    if (last === undefined || !areEqual(last, claims)) last = find(claims)
    return last
  }

  function find({ clientId, iss, audience, scopes, tokenType, isAccessToken, isBound }: SharedClaims): SharedClaims {
    // JSON tells everything apart that these members can hold: undefined is null, which no text or list is.
    const key = JSON.stringify([clientId, iss, audience, scopes, tokenType, isAccessToken, isBound])
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
    if (key.length > LONGEST) return shared
    if (known.size >= MOST) known.clear()
    known.set(key, shared)
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
