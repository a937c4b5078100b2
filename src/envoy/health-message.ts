/** The two messages of grpc.health.v1, read and written without the loader: the server and every probe start sooner. */
import { readText, WireReader } from './wire-reader.ts'
import { WireWriter } from './wire-writer.ts'

/** An absent service is the server as a whole. */
export interface HealthRequestMessage {
  readonly service?: string
}

/** `status` is absent where it is UNKNOWN, the default of proto3, or a number without a name. */
export interface HealthReplyMessage {
  readonly status?: string
}

const FIRST = 1
/** By their numbers. */
const STATUSES: readonly string[] = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN']

export function writeHealthRequest({ service = '' }: HealthRequestMessage): Buffer {
  const writer = new WireWriter()
  if (service !== '') writer.text(FIRST, service)
  return writer.finish()
}

export function writeHealthReply({ status = 'UNKNOWN' }: HealthReplyMessage): Buffer {
  const writer = new WireWriter()
  writer.integer(FIRST, Math.max(0, STATUSES.indexOf(status)))
  return writer.finish()
}

/** Throws where the bytes are no such message: a health check, unlike a Check, may fail as a gRPC error. */
export function readHealthRequest(bytes: Buffer): HealthRequestMessage {
  let service = ''
  readFields(bytes, (reader, tag, end) => {
    const stop = reader.delimited(tag, end)
    const read = stop < 0 ? undefined : readText(bytes, reader.at, stop)
    if (read === undefined) return false
    service = read
    reader.at = stop
    return true
  })
  return service === '' ? {} : { service }
}

/** Throws where the bytes are no such message. */
export function readHealthReply(bytes: Buffer): HealthReplyMessage {
  let status = 0
  readFields(bytes, (reader, tag, end) => {
    status = (tag & 7) === 0 ? reader.uint32(end) : -1
    return status >= 0
  })
  const name = status === 0 ? undefined : STATUSES[status]
  return name === undefined ? {} : { status: name }
}

function readFields(bytes: Buffer, readFirst: (reader: WireReader, tag: number, end: number) => boolean): void {
  const reader = new WireReader(bytes, 0)
  while (reader.at < bytes.length) {
    const tag = reader.tag(bytes.length)
    const isRead = tag >>> 3 === FIRST ? readFirst(reader, tag, bytes.length) : reader.skip(tag, bytes.length)
    if (tag < 0 || !isRead) throw new Error('not a message of grpc.health.v1')
  }
}
