/**
 * Every error of the network, TLS, undici and got, as a value. Their messages are never passed on: got's carry the form
 * body and our credentials, undici's may carry headers in `cause`. Only error codes, checked to be codes, get through.
 */

/** Why a call brought no answer. */
export interface CallFailure {
  readonly kind: 'timeout' | 'network' | 'tls'
  /** For the log: our own words and an error code. */
  readonly detail: string
}

/** Thrown by our own connector, so that what was known there is not guessed here. */
export class ConnectError extends Error {
  readonly code: string
  readonly failure: CallFailure

  constructor(failure: CallFailure, code: string) {
    super(failure.detail)
    this.code = code
    this.failure = failure
  }
}

const TLS_CODE =
  /^(?:CERT_|CRL_|ERR_TLS_|ERR_SSL_|ERR_OSSL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_|EPROTO)/
const CODE = /^[A-Z][A-Z0-9_]{1,63}$/

const WORDS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'connection refused: nothing listens at that address and port'],
  ['ENOTFOUND', 'host name not found'],
  ['EAI_AGAIN', 'host name not resolved, the resolver did not answer'],
  ['EHOSTUNREACH', 'no route to the host'],
  ['ENETUNREACH', 'no route to the network'],
  ['ECONNRESET', 'connection reset before the answer was complete'],
  ['EPIPE', 'connection closed before the request was sent'],
  ['UND_ERR_SOCKET', 'connection closed before the answer was complete'],
  ['UND_ERR_HEADERS_OVERFLOW', 'answer headers too large'],
  ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'answer shorter or longer than its Content-Length'],
])

const PROXY_REFUSED = 'the proxy refused the connection: check keyManager.proxy and what it allows'
/** undici has no code of its own for either: the beginnings of its messages on a refused CONNECT and on a forwarded 407. */
const UNDICI_PROXY_REFUSAL = /^Proxy (?:response|Authentication Required) \(\d{3}\)/

/** For an interim answer nobody asked for: undici takes 100 Continue (RFC 9110 section 15.2) for a broken one. */
const UNDICI_UNEXPECTED = /^bad response$/

const CLOSED: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])
const SLOW: ReadonlySet<string> = new Set(['ETIMEDOUT', 'UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT'])

/** Total: anything thrown becomes one of the three kinds; what is not recognised is `network`. */
export function translateFailure(error: unknown): CallFailure {
  const own = find(error, (candidate) => (candidate instanceof ConnectError ? candidate.failure : undefined))
  if (own !== undefined) return own
  const code = errorCode(error)
  // undici gives its parser's errors no code.
  if (isNamed(error, 'HTTPParserError')) return { kind: 'network', detail: 'the answer is not HTTP/1.1' }
  if (code === undefined) return { kind: 'network', detail: 'the call failed' }
  if (SLOW.has(code)) return { kind: 'timeout', detail: 'no connection in time' }
  if (TLS_CODE.test(code)) return { kind: 'tls', detail: tlsDetail(code) }
  if (code.startsWith('HPE_')) return { kind: 'network', detail: `the answer is not HTTP/1.1 (${code})` }
  if (code === 'UND_ERR_SOCKET' && says(error, UNDICI_UNEXPECTED))
    return { kind: 'network', detail: `an answer 100 Continue that was not asked for (${code})` }
  if (isProxyRefusal(error)) return { kind: 'network', detail: `${PROXY_REFUSED} (${code})` }
  return { kind: 'network', detail: `${WORDS.get(code) ?? 'the call failed'} (${code})` }
}

/** True where an established connection was closed or reset under the call: worth one more try on a fresh one. */
export function wasClosedUnderCall(error: unknown): boolean {
  if (find(error, (candidate) => (candidate instanceof ConnectError ? candidate : undefined)) !== undefined)
    return false
  return CLOSED.has(errorCode(error) ?? '')
}

/** Node's agents, which got uses, have a code for it. */
function isProxyRefusal(error: unknown): boolean {
  return errorCode(error) === 'ERR_PROXY_TUNNEL' || says(error, UNDICI_PROXY_REFUSAL)
}

function says(error: unknown, words: RegExp): boolean {
  return find(error, (each) => (each instanceof Error && words.test(each.message)) || undefined) === true
}

function isNamed(error: unknown, name: string): boolean {
  return find(error, (each) => (each instanceof Error && each.name === name) || undefined) === true
}

function tlsDetail(code: string): string {
  if (code === 'CERT_HAS_EXPIRED') return `certificate expired (${code})`
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `certificate is for another host name (${code})`
  if (/^(?:UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/.test(code)) {
    return `certificate of an unknown authority: name it in keyManager.tls.caFile (${code})`
  }
  return `TLS failed (${code})`
}

function errorCode(error: unknown): string | undefined {
  return find(error, (candidate) => {
    const code = 'code' in candidate ? candidate.code : undefined
    // got wraps: its own codes say less than the cause's.
    return typeof code === 'string' && CODE.test(code) && !code.startsWith('ERR_GOT') ? code : undefined
  })
}

/** Looks at the error, its causes and the members of an AggregateError (happy eyeballs), a few levels deep. */
function find<T>(error: unknown, read: (candidate: object) => T | undefined, depth = 0): T | undefined {
  if (typeof error !== 'object' || error === null || depth > 4) return undefined
  const found = read(error)
  if (found !== undefined) return found
  if (error instanceof AggregateError) {
    for (const member of error.errors) {
      const inner = find(member, read, depth + 1)
      if (inner !== undefined) return inner
    }
  }
  return 'cause' in error ? find(error.cause, read, depth + 1) : undefined
}
