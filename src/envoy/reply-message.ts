/** The CheckResponse, put together in one place. */
import { type StructMember, struct } from './struct.ts'
import type { UpstreamHeader } from './upstream-headers.ts'
import { delimited, integer, type Piece, Template, text } from './wire-writer.ts'

/** google.rpc.Code. */
const OK = 0
const PERMISSION_DENIED = 7
const OVERWRITE_IF_EXISTS_OR_ADD = 2

/** A header whose value may have gaps. */
export interface ReplyHeader {
  readonly name: string
  readonly value: string | readonly Piece[]
}

export interface OkBody {
  readonly kind: 'ok'
  readonly set: readonly UpstreamHeader[]
  /** `headersToRemove` encoded by `removals`. */
  readonly remove: readonly Piece[]
}

export interface RefusalBody {
  /** `error`: sent as `error_response`, which Envoy before 1.37 takes for a plain 403. */
  readonly kind: 'denied' | 'error'
  /** google.rpc.Code, never 0. */
  readonly status: number
  readonly http: number
  readonly headers: readonly ReplyHeader[]
  readonly body: string
}

/**
 * The one constructor of replies. It starts from a deny and every reply says its `status.code`, because Envoy reads an
 * empty CheckResponse as ALLOW (P02, E01). Only `kind: 'ok'` turns it into an allow.
 */
export function checkResponse(body: OkBody | RefusalBody, metadata: readonly StructMember[]): Template {
  let status = PERMISSION_DENIED
  let response: readonly Piece[]
  if (body.kind === 'ok') {
    status = OK
    response = delimited(3, [...body.set.flatMap((header) => headerOption(2, header)), ...body.remove])
  } else {
    if (body.status !== OK) status = body.status
    response = delimited(body.kind === 'error' ? 5 : 2, [
      ...delimited(1, [integer(1, body.http)]),
      ...body.headers.flatMap((header) => headerOption(2, header)),
      ...text(3, body.body),
    ])
  }
  return new Template([...delimited(1, [integer(1, status)]), ...response, ...delimited(4, struct(metadata))])
}

/** `OkHttpResponse.headers_to_remove`. */
export function removals(names: readonly string[]): readonly Piece[] {
  return names.flatMap((name) => text(5, name))
}

/**
 * Both `append: false` and the action: releases differ in which of the two they obey, and one alone appends beside the
 * client's own header on some of them (E04). On a deny `append: true` would be dropped (E09).
 */
function headerOption(field: number, header: ReplyHeader): readonly Piece[] {
  const value = typeof header.value === 'string' ? text(2, header.value) : delimited(2, header.value)
  return delimited(field, [
    ...delimited(1, [...text(1, header.name), ...value]),
    ...delimited(2, [integer(1, 0)]),
    integer(3, OVERWRITE_IF_EXISTS_OR_ADD),
  ])
}
