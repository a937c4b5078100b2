/**
 * Writes protobuf's wire format as pieces: bytes that never change, and slots of fixed width that are filled in on every
 * reply. A template is built once; a reply is a copy of it with its slots filled. Bytes are text here, one character a
 * byte (latin1): a reply has a hundred pieces, and as a Buffer each would cost more than all it holds.
 */

/** A gap in a template. The widths never change, so that every length prefix around one is right for good. */
export interface Slot {
  readonly width: number
}

/** 21 ASCII characters. */
export const DECISION_ID: Slot = Object.freeze({ width: 21 })
/** A double, whole seconds. */
export const MAX_AGE_SECONDS: Slot = Object.freeze({ width: 8 })

export type Piece = string | Slot

/** An encoded reply with gaps; there is one for every remembered token. */
export class Template {
  private readonly bytes: string
  private readonly decisionIdAt: number
  /** -1: the decision id occurs once. */
  private readonly decisionIdAgainAt: number
  /** -1: none. */
  private readonly maxAgeAt: number

  /** Throws where the decision id has no place, or more than two. */
  constructor(pieces: readonly Piece[]) {
    const decisionIdAt: number[] = []
    let maxAgeAt = -1
    let at = 0
    for (const piece of pieces) {
      if (piece === DECISION_ID) decisionIdAt.push(at)
      else if (piece === MAX_AGE_SECONDS) maxAgeAt = at
      at += typeof piece === 'string' ? piece.length : piece.width
    }
    const [first = -1, again = -1, ...more] = decisionIdAt
    if (first < 0 || more.length > 0) throw new Error('a reply names its decision once or twice')
    this.bytes = pieces.map((piece) => (typeof piece === 'string' ? piece : '0'.repeat(piece.width))).join('')
    this.decisionIdAt = first
    this.decisionIdAgainAt = again
    this.maxAgeAt = maxAgeAt
  }

  /** A fresh copy, for good: the transport keeps what it is given until it is written. */
  fill(decisionId: string, maxAgeSeconds: number): Buffer {
    const reply = Buffer.from(this.bytes, 'latin1')
    reply.write(decisionId, this.decisionIdAt, DECISION_ID.width, 'latin1')
    if (this.decisionIdAgainAt >= 0) reply.write(decisionId, this.decisionIdAgainAt, DECISION_ID.width, 'latin1')
    if (this.maxAgeAt >= 0) reply.writeDoubleLE(maxAgeSeconds, this.maxAgeAt)
    return reply
  }
}

/** An embedded message or map entry, in as few pieces as there are gaps. `field` is below 16 here and everywhere below: every tag is one byte. */
export function delimited(field: number, pieces: readonly Piece[]): readonly Piece[] {
  let width = 0
  for (const piece of pieces) width += typeof piece === 'string' ? piece.length : piece.width
  let bytes = byte(field * 8 + 2) + varint(width)
  const merged: Piece[] = []
  for (const piece of pieces) {
    if (typeof piece === 'string') bytes += piece
    else {
      merged.push(bytes, piece)
      bytes = ''
    }
  }
  if (bytes !== '') merged.push(bytes)
  return merged
}

/** A string; a lone surrogate becomes U+FFFD, so that the bytes are always UTF-8. */
export function text(field: number, value: string): string {
  const bytes = isAscii(value) ? value : Buffer.from(value, 'utf8').toString('latin1')
  return byte(field * 8 + 2) + varint(bytes.length) + bytes
}

/** A varint field, written even where it is 0: an explicit `status.code` is worth two bytes. */
export function integer(field: number, value: number): string {
  return byte(field * 8) + varint(value)
}

/** A double field, or the gap for one. */
export function double(field: number, value: number | Slot): readonly Piece[] {
  const tag = byte(field * 8 + 1)
  if (typeof value !== 'number') return [tag, value]
  doubleBytes.writeDoubleLE(value)
  return [tag + doubleBytes.toString('latin1')]
}

/** Pieces without gaps as one, for what is used again and again. Throws where there is a gap: it would be lost. */
export function joined(pieces: readonly Piece[]): string {
  return pieces
    .map((piece) => {
      if (typeof piece !== 'string') throw new Error('a piece with a gap cannot be joined')
      return piece
    })
    .join('')
}

const doubleBytes = Buffer.alloc(8)

const byte = (value: number): string => String.fromCharCode(value)

function varint(value: number): string {
  let bytes = ''
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes += byte((rest % 0x80) + 0x80)
  return bytes + byte(rest)
}

function isAscii(value: string): boolean {
  for (let at = 0; at < value.length; at += 1) if (value.charCodeAt(at) >= 0x80) return false
  return true
}
