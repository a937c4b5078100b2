/** Messages and answers for the tests of the wire, with the loader's codec as the independent reader and writer. */
import type { ActiveAnswer, Claims, DenyReason } from '../../../src/authz/ports.ts'
import type { ReplySettings } from '../../../src/envoy/check-response.ts'
import { loadedAuthorization } from '../../../src/envoy/definition.ts'
import { replySlot } from '../../support/authz.ts'

export const DECISION = 'abcdef01-000000000042'

export interface SampleRequest {
  readonly method?: string
  readonly path?: string
  readonly host?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly rawHeaders?: readonly (readonly [name: string, value: Buffer])[]
  readonly context?: Readonly<Record<string, string>>
}

export interface ReadHeader {
  readonly header: { readonly key: string; readonly value: string; readonly raw_value?: Buffer }
  readonly append?: { readonly value: boolean }
  readonly append_action?: string
}

export interface ReadRefusal {
  readonly status: { readonly code: string }
  readonly headers: readonly ReadHeader[]
  readonly body: string
}

export interface ReadReply {
  readonly status?: { readonly code: number }
  readonly ok_response?: { readonly headers?: readonly ReadHeader[]; readonly headers_to_remove?: readonly string[] }
  readonly denied_response?: ReadRefusal
  readonly error_response?: ReadRefusal
  readonly dynamic_metadata: { readonly fields: Readonly<Record<string, ReadValue>> }
}

export interface ReadValue {
  readonly nullValue?: string
  readonly stringValue?: string
  readonly numberValue?: number
  readonly boolValue?: boolean
  readonly listValue?: { readonly values?: readonly ReadValue[] }
  readonly structValue?: { readonly fields?: Readonly<Record<string, ReadValue>> }
}

const { Check: method } = loadedAuthorization
if (method === undefined) throw new Error('no Check method')
const check = method

/** A CheckRequest as the loader writes any object. */
export function encodeObject(request: object): Buffer {
  return check.requestSerialize(request)
}

/** A CheckRequest as Envoy fills it. */
export function encodeRequest(request: SampleRequest): Buffer {
  return encodeObject({
    attributes: {
      source: { address: { socket_address: { address: '10.0.0.1', port_value: 41_000 } }, principal: 'spiffe://a/b' },
      request: {
        time: { seconds: '1900000000', nanos: 1 },
        http: {
          id: '18446744073709551615',
          method: request.method ?? 'GET',
          path: request.path ?? '/orders/1?full=1',
          host: request.host ?? 'api.example.com',
          headers: request.headers ?? {},
          scheme: 'https',
          size: '-1',
          protocol: 'HTTP/2',
          ...(request.rawHeaders === undefined
            ? {}
            : { header_map: { headers: request.rawHeaders.map(([key, raw_value]) => ({ key, raw_value })) } }),
        },
      },
      context_extensions: request.context ?? {},
      metadata_context: { filter_metadata: { some: { fields: { a: { numberValue: 1 } } } } },
    },
  })
}

/** A reply as the loader reads it. */
export function decodeReply(bytes: Buffer): ReadReply {
  return check.responseDeserialize(bytes) as ReadReply
}

/** The plain value behind a Struct's. */
export function plain(value: ReadValue | undefined): unknown {
  if (value === undefined) return undefined
  if (value.listValue !== undefined) return (value.listValue.values ?? []).map(plain)
  if (value.structValue !== undefined) {
    return Object.fromEntries(Object.entries(value.structValue.fields ?? {}).map(([name, item]) => [name, plain(item)]))
  }
  if (value.nullValue !== undefined) return null
  return value.stringValue ?? value.numberValue ?? value.boolValue
}

/** One member of the dynamic metadata. */
export function metadata(reply: ReadReply, name: string): unknown {
  return plain(reply.dynamic_metadata.fields[name])
}

export const DEFAULT_HEADERS = [
  { header: 'x-auth-subject', claim: 'sub' },
  { header: 'x-auth-username', claim: 'username' },
  { header: 'x-auth-client-id', claim: 'client_id' },
  { header: 'x-auth-scope', claim: 'scope' },
]

export function settingsOf(changes: Partial<ReplySettings> = {}): ReplySettings {
  return {
    realm: 'API',
    resourceMetadata: undefined,
    unavailable: 'deny',
    credentials: { header: 'authorization', remove: true },
    upstreamHeaders: DEFAULT_HEADERS,
    managedHeaders: DEFAULT_HEADERS.map(({ header }) => header),
    metadataClaims: [],
    ...changes,
  }
}

export function claimsOf(changes: Partial<Claims> = {}): Claims {
  return {
    sub: undefined,
    username: undefined,
    clientId: undefined,
    iss: undefined,
    audience: [],
    scopes: [],
    tokenType: undefined,
    expSec: undefined,
    nbfSec: undefined,
    isAccessToken: true,
    isBound: false,
    json: '{}',
    ...changes,
  }
}

export function answerOf(claims: Claims): ActiveAnswer {
  return { active: true, claims, storedAtMs: 0, lifeMs: 60_000, reply: replySlot() }
}

/** One row of product section 2.1's table: HTTP, its name in Envoy's enum, google.rpc code, challenge after the realm, fault. */
export interface Row {
  readonly http: number
  readonly name: string
  readonly status: number
  /** undefined: no challenge. */
  readonly challenge: string | undefined
  readonly fault: number
}

const row = (http: number, name: string, status: number, challenge: string | undefined, fault: number): Row => ({
  http,
  name,
  status,
  challenge,
  fault,
})
const invalidToken = row(401, 'Unauthorized', 16, ', error="invalid_token"', 900_901)
const forbidden = row(403, 'Forbidden', 7, undefined, 900_908)

/** The table written out again, independent of the code. */
export const REFUSALS: Readonly<Record<DenyReason, Row>> = {
  missing_credentials: row(401, 'Unauthorized', 16, '', 900_902),
  malformed_credentials: row(400, 'BadRequest', 3, ', error="invalid_request"', 900_901),
  malformed_request: row(400, 'BadRequest', 3, undefined, 900_900),
  inactive_token: invalidToken,
  expired_token: { ...invalidToken, fault: 900_903 },
  premature_token: invalidToken,
  wrong_issuer: invalidToken,
  wrong_audience: invalidToken,
  not_an_access_token: { ...invalidToken, fault: 900_905 },
  binding_failed: invalidToken,
  insufficient_scope: row(
    403,
    'Forbidden',
    7,
    ', error="insufficient_scope", scope="orders:read orders:write"',
    900_910,
  ),
  wrong_client: forbidden,
  missing_claim: forbidden,
  no_matching_rule: forbidden,
  insufficient_authentication: row(401, 'Unauthorized', 16, ', error="insufficient_user_authentication"', 900_901),
  ambiguous_path: row(400, 'BadRequest', 3, undefined, 900_900),
  invalid_route_policy: row(500, 'InternalServerError', 13, undefined, 900_900),
  key_manager_unavailable: row(503, 'ServiceUnavailable', 14, undefined, 900_900),
  overloaded: row(503, 'ServiceUnavailable', 8, undefined, 900_900),
  not_http: row(403, 'Forbidden', 7, undefined, 900_900),
  internal_error: row(500, 'InternalServerError', 13, undefined, 900_900),
}

/** Every deny reason. */
export const DENY_REASONS = Object.keys(REFUSALS) as DenyReason[]
