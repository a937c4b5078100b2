/**
 * The parse half of introspection, pure: what `/introspect` answered -> one outcome. Strict, and closed at every
 * branch: only a 200 with one well-formed JSON object whose `active` is the boolean true is active.
 */
import type { Introspected, UnavailableKind } from '../authz/ports.ts'
import type { AnswerHeaders } from '../net/http.ts'
import { readRetryAfterMs } from '../net/retry-after.ts'
import { isObject, MalformedMember, type Members, read, readClaims } from './introspection-claims.ts'
import { scanJson } from './json-scan.ts'

export interface RawAnswer {
  readonly status: number
  /** Lower-case names. */
  readonly headers: AnswerHeaders
  readonly body: Uint8Array
  /** True: the body was longer than `keyManager.maxAnswerSize` and is not here. */
  readonly oversized?: boolean
}

export interface AnswerOptions {
  readonly lenientExp: boolean
  /** Whether we sent credentials: then a 403 is a refusal of them. */
  readonly authenticated: boolean
  /** Wall clock, for a `Retry-After` that is a date. */
  readonly nowWallMs: number
}

/** RFC 7009 and RFC 6750 names by which servers refuse this very token with a 400. */
const REFUSES_TOKEN: ReadonlySet<unknown> = new Set(['unsupported_token_type', 'invalid_token'])
const JSON_TYPE = /^(?:application\/(?:[a-z0-9!#$&^_.+-]+\+)?json|text\/json)$/

const ESCAPED_SURROGATE = /\\u[dD][89abABc-fC-F]/

const decoder = new TextDecoder('utf-8', { fatal: true })

/** Total: never throws. */
export function readIntrospectionAnswer(answer: RawAnswer, options: AnswerOptions): Introspected {
  const { status } = answer
  if (status === 200) return readBody(answer, options)
  if (status === 400 && refusesToken(answer)) return { kind: 'inactive' }
  if (status === 401 || (status === 403 && options.authenticated)) {
    return unavailable('unauthorized', `the key manager refuses our credentials (${status})`)
  }
  if (status === 429) {
    const retryAfterMs = readRetryAfterMs(answer.headers['retry-after'], options.nowWallMs)
    return unavailable('throttled', 'the key manager asks for fewer calls (429)', retryAfterMs)
  }
  if (status >= 300 && status < 500) return unavailable('client_error', clientErrorDetail(status))
  if (status >= 500 && status < 600) return unavailable('server_error', `the key manager failed (${status})`)
  return malformed(`status ${status} is no answer to an introspection`)
}

function readBody(answer: RawAnswer, options: AnswerOptions): Introspected {
  const json = readJson(answer)
  if (!json.ok) return malformed(json.detail)
  const { members, text } = json
  const active = read(members, 'active')
  // RFC 7662 section 2.2: a boolean, and nothing like one.
  if (active === false) return { kind: 'inactive' }
  if (active !== true) return malformed(active === undefined ? 'active is missing' : 'active is not a boolean')
  try {
    return { kind: 'active', claims: readClaims(members, { lenientExp: options.lenientExp, text }) }
  } catch (error) {
    return malformed(error instanceof MalformedMember ? error.message : 'a member cannot be read')
  }
}

type JsonResult =
  | { readonly ok: true; readonly members: Members; readonly text: string }
  | { readonly ok: false; readonly detail: string }

function readJson(answer: RawAnswer): JsonResult {
  if (answer.oversized === true) return refused('the body is longer than keyManager.maxAnswerSize')
  const encoding = answer.headers['content-encoding']
  if (encoding !== undefined && (typeof encoding !== 'string' || encoding.trim().toLowerCase() !== 'identity')) {
    return refused('the body has a Content-Encoding, and none was asked for')
  }
  if (answer.body.length === 0) return refused('the body is empty')
  const typeProblem = contentTypeProblem(answer.headers['content-type'])
  if (typeProblem !== undefined) return refused(typeProblem)
  let value: unknown
  let text: string
  try {
    text = decoder.decode(answer.body)
  } catch {
    return refused('the body is not UTF-8')
  }
  const { problem } = scanJson(text)
  if (problem !== undefined)
    return refused(`the JSON has ${problem === 'a repeated member' ? problem : 'more than 32 levels'}`)
  try {
    value = JSON.parse(text)
  } catch {
    return refused('the body is not JSON')
  }
  if (!isObject(value)) return refused('the JSON is not an object')
  // What was decoded is well-formed: only an escape can bring a lone surrogate in.
  if (ESCAPED_SURROGATE.test(text) && !isWellFormed(value)) return refused('a string holds a lone surrogate')
  return { ok: true, members: value, text }
}

function contentTypeProblem(value: AnswerHeaders[string]): string | undefined {
  if (value === 'application/json') return undefined
  if (typeof value !== 'string') return 'the Content-Type is missing or repeated'
  const type = (value.split(';', 1)[0] ?? '').trim().toLowerCase()
  if (JSON_TYPE.test(type)) return undefined
  if (type === 'text/html') return 'an HTML page instead of JSON: most likely a login page, check the introspection URL'
  if (type.endsWith('jwt')) return 'a JWT although JSON was asked for'
  return 'the Content-Type is not JSON'
}

/** At most 32 levels; false where a name or a text is not well-formed Unicode. */
function isWellFormed(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([name, item]) => name.isWellFormed() && isWellFormed(item))
}

function refusesToken(answer: RawAnswer): boolean {
  const json = readJson(answer)
  return json.ok && REFUSES_TOKEN.has(read(json.members, 'error'))
}

function clientErrorDetail(status: number): string {
  if (status < 400) return `a redirect (${status}): most likely a login page, check the introspection URL's path`
  switch (status) {
    case 400:
      return 'the key manager does not take this request (400): an odd token, a wrong tokenTypeHint, or credentials in the wrong place'
    case 403:
      return 'the key manager wants credentials (403), and none are configured'
    case 404:
      return 'nothing is there (404): check the introspection URL'
    case 405:
      return 'POST is not allowed there (405): check the introspection URL'
    case 415:
      return 'form bodies are not taken there (415): check the introspection URL'
    default:
      return `the key manager refuses the request (${status})`
  }
}

function refused(detail: string): JsonResult {
  return { ok: false, detail }
}

function malformed(detail: string): Introspected {
  return { kind: 'malformed', detail }
}

function unavailable(cause: UnavailableKind, detail: string, retryAfterMs = 0): Introspected {
  return { kind: 'unavailable', cause, retryAfterMs, detail }
}
