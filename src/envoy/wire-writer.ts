/**
 * Writes protobuf's wire format as pieces: bytes that never change, and slots of fixed width that are filled in on every
 * reply. A template is built once; a reply is a copy of it with its slots filled.
 */

/** A gap in a template. The widths never change, so that every length prefix around one is right for good. */
export interface Slot {
  readonly width: number
}

/** 21 ASCII characters. */
export const DECISION_ID: Slot = Object.freeze({ width: 21 })
/** A double, whole seconds. */
export const MAX_AGE_SECONDS: Slot = Object.freeze({ width: 8 })

export type Piece = Buffer | Slot

/**
 * An encoded reply with gaps. Kept as text, one character a byte: a Buffer of its own costs 450 bytes besides its bytes,
 * and there is one template for every remembered token.
 */
export class Template {
  private readonly text: string
  private readonly decisionIdAt: number
  /** -1: the decision id occurs once. */
  private readonly decisionIdAgainAt: number
  /** -1: none. */
  private readonly maxAgeAt: number

  /** Throws where a decision id has no place for it, or more than two. */
  constructor(pieces: readonly Piece[]) {
    const bytes = Buffer.allocUnsafe(widthOf(pieces))
    const decisionIdAt: number[] = []
    let maxAgeAt = -1
    let at = 0
    for (const piece of pieces) {
      if (piece === DECISION_ID) decisionIdAt.push(at)
      else if (piece === MAX_AGE_SECONDS) maxAgeAt = at
      if (Buffer.isBuffer(piece)) piece.copy(bytes, at)
      else bytes.fill(0x30, at, at + piece.width)
      at += Buffer.isBuffer(piece) ? piece.length : piece.width
    }
    const [first = -1, again = -1, ...more] = decisionIdAt
    if (first < 0 || more.length > 0) throw new Error('a reply names its decision once or twice')
    this.text = bytes.toString('latin1')
    this.decisionIdAt = first
    this.decisionIdAgainAt = again
    this.maxAgeAt = maxAgeAt
  }

  /** A fresh copy, for good: the transport keeps what it is given until it is written. */
  fill(decisionId: string, maxAgeSeconds: number): Buffer {
    const reply = Buffer.from(this.text, 'latin1')
    reply.write(decisionId, this.decisionIdAt, DECISION_ID.width, 'latin1')
    if (this.decisionIdAgainAt >= 0) reply.write(decisionId, this.decisionIdAgainAt, DECISION_ID.width, 'latin1')
    if (this.maxAgeAt >= 0) reply.writeDoubleLE(maxAgeSeconds, this.maxAgeAt)
    return reply
  }
}

/** An embedded message or map entry. `field` is below 16 here and everywhere below: every tag is one byte. */
export function delimited(field: number, pieces: readonly Piece[]): readonly Piece[] {
  const width = widthOf(pieces)
  const prefix = Buffer.allocUnsafe(1 + varintWidth(width))
  prefix[0] = field * 8 + 2
  writeVarint(prefix, 1, width)
  return [prefix, ...pieces]
}

/** A string; a lone surrogate becomes U+FFFD, so that the bytes are always UTF-8. */
export function text(field: number, value: string): Piece {
  const width = Buffer.byteLength(value, 'utf8')
  const bytes = Buffer.allocUnsafe(1 + varintWidth(width) + width)
  bytes[0] = field * 8 + 2
  bytes.write(value, writeVarint(bytes, 1, width), 'utf8')
  return bytes
}

/** A varint field, written even where it is 0: an explicit `status.code` is worth two bytes. */
export function integer(field: number, value: number): Piece {
  const bytes = Buffer.allocUnsafe(1 + varintWidth(value))
  bytes[0] = field * 8
  writeVarint(bytes, 1, value)
  return bytes
}

/** A double field, or the gap for one. */
export function double(field: number, value: number | Slot): readonly Piece[] {
  const tag = Buffer.from([field * 8 + 1])
  if (typeof value !== 'number') return [tag, value]
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeDoubleLE(value)
  return [tag, bytes]
}

/** Pieces without gaps as one, for what is used again and again. Throws where there is a gap: it would be lost. */
export function joined(pieces: readonly Piece[]): Piece {
  return Buffer.concat(
    pieces.map((piece) => {
      if (!Buffer.isBuffer(piece)) throw new Error('a piece with a gap cannot be joined')
      return piece
    }),
  )
}

function varintWidth(value: number): number {
  let width = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) width += 1
  return width
}

/** Returns where the next byte goes. */
function writeVarint(bytes: Buffer, start: number, value: number): number {
  let at = start
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) {
    bytes[at] = (rest % 0x80) + 0x80
    at += 1
  }
  bytes[at] = rest
  return at + 1
}

function widthOf(pieces: readonly Piece[]): number {
  let width = 0
  for (const piece of pieces) width += Buffer.isBuffer(piece) ? piece.length : piece.width
  return width
}
