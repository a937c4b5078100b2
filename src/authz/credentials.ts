/** Bearer credentials out of one header value: RFC 6750 section 2.1. Pure. */

export type Credentials =
  | { readonly kind: 'bearer'; readonly token: string }
  /** `otherScheme`: something is there, of a scheme not accepted. */
  | { readonly kind: 'missing'; readonly otherScheme: boolean }
  | { readonly kind: 'malformed' }

/** Longest token accepted, in bytes: checked before any hash or call. */
export const MAX_TOKEN_BYTES = 8192

const ABSENT: Credentials = Object.freeze({ kind: 'missing', otherScheme: false })
const OTHER_SCHEME: Credentials = Object.freeze({ kind: 'missing', otherScheme: true })
const MALFORMED: Credentials = Object.freeze({ kind: 'malformed' })

// RFC 6750 section 2.1: "Bearer" 1*SP b64token, the scheme in any case.
const BEARER = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i
// Envoy joins repeated headers with a comma (E07): a second value of a scheme we accept hides behind one. Without the comma
// in the class a value of commas would be searched once for each of them: 5 s for one header.
const SECOND_BEARER = /,[^a-z0-9,]*bearer/i
const BEGINS_WITH_BEARER = /^bearer/i
const BEARER_SCHEME = /^bearer(?: |$)/i
// A no-break space arrives as the byte 0xA0, alone or behind 0xC2.
const NEVER_IN_BEARER = /[,\t\u00a0]| $/

/** `value` holds one character a byte; `count` is the number of credentials headers seen. */
export function readCredentials(value: string | undefined, count: number): Credentials {
  if (count > 1) return MALFORMED
  if (value === undefined || value === '') return ABSENT
  const token = BEARER.exec(value)?.[1]
  if (token !== undefined) return token.length > MAX_TOKEN_BYTES ? MALFORMED : { kind: 'bearer', token }
  if (BEARER_SCHEME.test(value)) return MALFORMED
  if (BEGINS_WITH_BEARER.test(value) && NEVER_IN_BEARER.test(value)) return MALFORMED
  if (SECOND_BEARER.test(value)) return MALFORMED
  return OTHER_SCHEME
}
