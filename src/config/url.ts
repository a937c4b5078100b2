/** Checks of URLs that will receive tokens or credentials. No message quotes the URL: it may hold a password. */

export interface UrlRules {
  readonly allowInsecure: boolean
  readonly allowQuery: boolean
}

/** What is wrong with it, as the rest of a sentence; undefined: nothing. */
export function urlProblem(text: string, rules: UrlRules): string | undefined {
  // `new URL` drops tabs and line ends and turns backslashes round: what is checked must be what is called.
  if (/[^\x21-\x7e]|\\/.test(text)) return 'must be a URL in plain ASCII without spaces'
  if (!/^https?:\/\/[^/?#]/i.test(text)) return 'must be an http:// or https:// URL'
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) return 'is not a well-formed URL'
  if (/^https?:\/\/[^/?#]*@/i.test(text))
    return 'may not hold a user name or password; credentials have keys of their own'
  if (text.includes('#')) return 'may not hold a fragment (`#`)'
  if (text.includes('?') && !rules.allowQuery) return 'may not hold a query (`?`)'
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && !rules.allowInsecure) {
    return 'is plain http to a host other than loopback: tokens and credentials would go unencrypted. Use https, or set `keyManager.allowInsecure = true`'
  }
  return undefined
}

/** As it may be shown: some gateways want an API key in the query. What is no URL with a query is returned as it is. */
export function shownUrl(text: string): string {
  return text.replace(/^(https?:\/\/[^?]*\?).*$/is, '$1[redacted]')
}

/** `localhost`, 127.0.0.0/8 and `::1`. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[?::1\]?)$/i.test(host)
}

/** serverUrl + `/` + tokenContext + `/introspect`, slashes never doubled. */
export function introspectionUrl(serverUrl: string, tokenContext: string): string {
  const context = tokenContext.replace(/^\/+|\/+$/g, '')
  return [serverUrl.replace(/\/+$/, ''), ...(context === '' ? [] : [context]), 'introspect'].join('/')
}

const WELL_KNOWN = /^([^/]+\/\/[^/]+.*)\/\.well-known\/(?:oauth-authorization-server|openid-configuration)(\/.*)?$/

/**
 * The issuers that may stand in the metadata at this address. RFC 8414 section 3 puts the well-known part between host
 * and path, OpenID Connect Discovery behind the path; a terminating slash is cut before. Empty: no such address.
 */
export function metadataIssuers(discoveryUrl: string): readonly string[] {
  const { origin, pathname } = new URL(discoveryUrl)
  // As it is written too: section 3.3 wants it identical, where a parsed URL has lost `:443` and capital letters.
  return [...new Set([discoveryUrl, `${origin}${pathname}`].flatMap(issuersAt))]
}

function issuersAt(url: string): readonly string[] {
  const match = WELL_KNOWN.exec(url)
  if (match === null) return []
  const issuer = `${match[1]}${match[2] ?? ''}`.replace(/\/$/, '')
  return [issuer, `${issuer}/`]
}
