/** The CheckResponse, put together in one place. */
import { type StructMember, struct } from './struct.ts'
import type { UpstreamHeader } from './upstream-headers.ts'
import { delimited, integer, joined, type Piece, Template, text } from './wire-writer.ts'

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
  readonly remove: Piece
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
    response = delimited(3, [...body.set.flatMap((header) => headerOption(2, header)), body.remove])
  } else {
    if (body.status !== OK) status = body.status
    response = delimited(body.kind === 'error' ? 5 : 2, [
      ...delimited(1, [integer(1, body.http)]),
      ...body.headers.flatMap((header) => headerOption(2, header)),
      text(3, body.body),
    ])
  }
  return new Template([...delimited(1, [integer(1, status)]), ...response, ...delimited(4, struct(metadata))])
}

/** `OkHttpResponse.headers_to_remove`. */
export function removals(names: readonly string[]): Piece {
  return joined(names.map((name) => text(5, name)))
}

/**
 * Both `append: false` and the action: releases differ in which of the two they obey, and one alone appends beside the
 * client's own header on some of them (E04). On a deny `append: true` would be dropped (E09).
 */
const OVERWRITE = joined([...delimited(2, [integer(1, 0)]), integer(3, OVERWRITE_IF_EXISTS_OR_ADD)])

function headerOption(field: number, { name, value }: ReplyHeader): readonly Piece[] {
  const key = text(1, name)
  const header = typeof value === 'string' ? [key, text(2, value)] : [key, ...delimited(2, value)]
  return delimited(field, [...delimited(1, header), OVERWRITE])
}
