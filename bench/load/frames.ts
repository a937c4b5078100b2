/** The little of HTTP/2's wire format (RFC 9113, RFC 7541) that a load generator writes. */

export const FRAME = { data: 0, headers: 1, rstStream: 3, settings: 4, ping: 6, goaway: 7, windowUpdate: 8 } as const
export const END_STREAM = 1
const END_HEADERS = 4
export const ACK = 1

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

export function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(9 + payload.length)
  bytes.writeUIntBE(payload.length, 0, 3)
  bytes[3] = type
  bytes[4] = flags
  bytes.writeUInt32BE(stream, 5)
  payload.copy(bytes, 9)
  return bytes
}

export function windowUpdate(stream: number, increment: number): Buffer {
  const payload = Buffer.allocUnsafe(4)
  payload.writeUInt32BE(increment)
  return frame(FRAME.windowUpdate, 0, stream, payload)
}

/** INITIAL_WINDOW_SIZE as large as it goes: the server is never held up by us. */
export const SETTINGS = frame(FRAME.settings, 0, 0, Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff]))
export const SETTINGS_ACK = frame(FRAME.settings, ACK, 0, Buffer.alloc(0))

export interface RequestHead {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly authority: string
  readonly headers: Readonly<Record<string, string>>
}

/** A header block that adds to the dynamic table, and the one that refers to what it added. */
export function headerBlocks(head: RequestHead): { readonly first: Buffer; readonly later: Buffer } {
  const named = Object.entries(head.headers)
  const fixed = Buffer.from([head.method === 'POST' ? 0x83 : 0x82, 0x86])
  const added = [indexedName(4, head.path), indexedName(1, head.authority), ...named.map(([k, v]) => newName(k, v))]
  // The entry added last has index 62.
  const references = Buffer.from(added.map((_, at) => 0x80 + 62 + added.length - 1 - at))
  return { first: Buffer.concat([fixed, ...added]), later: Buffer.concat([fixed, references]) }
}

/** One header that differs from request to request: a literal that is not added to the table. */
export const literal = (name: string, value: string): Buffer =>
  Buffer.concat([Buffer.from([0x00]), text(name), text(value)])

const indexedName = (index: number, value: string): Buffer => Buffer.concat([Buffer.from([0x40 + index]), text(value)])
const newName = (name: string, value: string): Buffer => Buffer.concat([Buffer.from([0x40]), text(name), text(value)])

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1')
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes])
  const rest = bytes.length - 127
  const length = rest < 128 ? [127, rest] : [127, (rest & 127) + 128, rest >> 7]
  return Buffer.concat([Buffer.from(length), bytes])
}

/** HEADERS for one stream. */
export const headersFrame = (stream: number, block: Buffer, endStream: boolean): Buffer =>
  frame(FRAME.headers, END_HEADERS | (endStream ? END_STREAM : 0), stream, block)

/** A gRPC message: uncompressed, length-prefixed. */
export function grpcMessage(message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(5 + message.length)
  bytes[0] = 0
  bytes.writeUInt32BE(message.length, 1)
  bytes.set(message, 5)
  return bytes
}
