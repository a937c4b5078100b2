/** The words policies are made of; each check gives what is wrong as the rest of a sentence. */

const STANDARD_METHODS = ['get', 'head', 'post', 'put', 'delete', 'connect', 'options', 'trace', 'patch']

/** scope-token of RFC 6749 section 3.3. */
export function scopeProblem(scope: string): string | undefined {
  if (/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)) return undefined
  return 'is not a scope of RFC 6749: printable ASCII without space, `"` and `\\`; several scopes are several list items'
}

/** A name that another server must know exactly so: an issuer, a client, a claim. */
export function nameProblem(name: string): string | undefined {
  if (/\p{Cc}/u.test(name)) return 'holds a control character, perhaps a line end'
  return name === name.trim() ? undefined : 'begins or ends with a blank'
}

/** The same of what answers are compared with. */
export function matchProblem(name: string): string | undefined {
  const problem = nameProblem(name)
  return problem === undefined ? undefined : `${problem}: it would never match`
}

/** The same of one in a list. */
export function itemProblem(name: string): string | undefined {
  const problem = matchProblem(name)
  return problem === undefined ? undefined : `${problem}. Several values are several list items, or separated by commas`
}

/** A host name or address, or `*.` and a host name; ports are cut off requests before they are compared. */
export function hostProblem(host: string): string | undefined {
  if (/^(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/.test(host) || /^\[[0-9a-f:.]+\]$/.test(host)) return undefined
  return 'is not a host: write "api.example.com" or "*.example.com", without scheme, port or trailing dot'
}

/** An HTTP method, compared exactly. */
export function methodProblem(method: string): string | undefined {
  if (STANDARD_METHODS.includes(method.toLowerCase()) && method !== method.toUpperCase()) {
    return `would never match: methods are compared exactly, write "${method.toUpperCase()}"`
  }
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method) ? undefined : 'is not an HTTP method'
}

/** A path as it is after normalisation, or one that ends with `/*`. */
export function pathProblem(path: string): string | undefined {
  if (!path.startsWith('/')) return 'must begin with `/`'
  const plain = path.endsWith('/*') ? path.slice(0, -1) : path
  if (plain.includes('*')) return 'may hold `*` only as its last segment, as in "/orders/*"'
  if (/[?#;\\%\p{Cc}]/u.test(plain))
    return 'would never match: write the decoded path without query, `;params`, `%` and backslash'
  if (plain.includes('//') || /\/\.\.?(\/|$)/.test(plain))
    return 'would never match: write it without repeated slashes and dot segments'
  return undefined
}
