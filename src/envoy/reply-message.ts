/** The CheckResponse, put together in one place. */
import { writeMember } from './struct.ts'
import type { UpstreamHeader } from './upstream-headers.ts'
import { WireWriter } from './wire-writer.ts'

/** google.rpc.Code. */
const OK = 0
const PERMISSION_DENIED = 7
const OVERWRITE_IF_EXISTS_OR_ADD = 2

/** ASCII characters of a decision's id, in every reply. */
export const DECISION_ID_LENGTH = 21
/** Stands for the decision's id in a template. Nothing else in a reply without claims can hold a control character. */
export const DECISION_ID = '\u0001'.repeat(DECISION_ID_LENGTH)

export interface OkBody {
  readonly kind: 'ok'
  readonly set: readonly UpstreamHeader[]
  /** `headersToRemove` encoded by `removals`. */
  readonly remove: Uint8Array
}

export interface RefusalBody {
  /** `error`: sent as `error_response`, which Envoy before 1.37 takes for a plain 403. */
  readonly kind: 'denied' | 'error'
  /** google.rpc.Code, never 0. */
  readonly status: number
  readonly http: number
  readonly headers: readonly UpstreamHeader[]
  readonly body: string
}

/** Members of the dynamic metadata, in order: the values of `names`. What JSON cannot hold, undefined too, is left out. */
export interface Metadata {
  readonly names: readonly string[]
  readonly values: readonly unknown[]
}

const writer = new WireWriter()

/**
 * The one constructor of replies. It starts from a deny and every reply says its `status.code`, because Envoy reads an
 * empty CheckResponse as ALLOW (P02, E01). Only `kind: 'ok'` turns it into an allow. A fresh buffer every time.
 */
export function checkResponse(body: OkBody | RefusalBody, metadata: Metadata): Buffer {
  writer.begin()
  for (let index = metadata.names.length - 1; index >= 0; index -= 1) {
    writeMember(writer, metadata.names[index] ?? '', metadata.values[index])
  }
  writer.embed(4, 0)
  const status = body.kind === 'ok' ? writeOk(body) : writeRefusal(body)
  const mark = writer.length
  writer.integer(1, status)
  writer.embed(1, mark)
  return writer.finish()
}

function writeOk(body: OkBody): number {
  const mark = writer.length
  writer.raw(body.remove)
  writeHeaders(body.set)
  writer.embed(3, mark)
  return OK
}

function writeRefusal(body: RefusalBody): number {
  const mark = writer.length
  writer.text(3, body.body)
  writeHeaders(body.headers)
  const statusMark = writer.length
  writer.integer(1, body.http)
  writer.embed(1, statusMark)
  writer.embed(body.kind === 'error' ? 5 : 2, mark)
  return body.status === OK ? PERMISSION_DENIED : body.status
}

/**
 * Both `append: false` and the action: releases differ in which of the two they obey, and one alone appends beside the
 * client's own header on some of them (E04). On a deny `append: true` would be dropped (E09).
 */
const OVERWRITE = written((own) => {
  own.integer(3, OVERWRITE_IF_EXISTS_OR_ADD)
  const mark = own.length
  own.integer(1, 0)
  own.embed(2, mark)
})

function writeHeaders(headers: readonly UpstreamHeader[]): void {
  for (let index = headers.length - 1; index >= 0; index -= 1) {
    const header = headers[index]
    if (header === undefined) continue
    const mark = writer.length
    writer.raw(OVERWRITE)
    const headerMark = writer.length
    writer.text(2, header.value)
    writer.text(1, header.name)
    writer.embed(1, headerMark)
    writer.embed(2, mark)
  }
}

/** `OkHttpResponse.headers_to_remove`. */
export function removals(names: readonly string[]): Uint8Array {
  return written((own) => {
    for (const name of [...names].reverse()) own.text(5, name)
  })
}

function written(write: (own: WireWriter) => void): Uint8Array {
  const own = new WireWriter()
  own.begin()
  write(own)
  return own.finish()
}

/** A reply that is the same every time but for the decision's id. Throws where `DECISION_ID` is not in it. */
export class Template {
  private readonly reply: Buffer
  private readonly places: readonly number[]

  constructor(reply: Buffer) {
    const places: number[] = []
    for (let at = reply.indexOf(DECISION_ID); at >= 0; at = reply.indexOf(DECISION_ID, at + DECISION_ID_LENGTH)) {
      places.push(at)
    }
    if (places.length === 0) throw new Error('a reply names its decision')
    this.reply = reply
    this.places = places
  }

  /** A fresh copy, for good: the transport keeps what it is given until it is written. */
  fill(decisionId: string): Buffer {
    const reply = Buffer.from(this.reply)
    for (const at of this.places) reply.write(decisionId, at, DECISION_ID_LENGTH, 'latin1')
    return reply
  }
}
