/** Reads protobuf's wire format without exceptions: -1 and false mean "not protobuf". */
import { isUtf8 } from 'node:buffer'

const LENGTH_DELIMITED = 2

/** A cursor over one message. Every read is bounded by the `end` of the message that is being read. */
export class WireReader {
  at: number
  readonly bytes: Buffer

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes
    this.at = at
  }

  /** The next field's tag, or -1: truncated, over-long, or field number 0. */
  tag(end: number): number {
    const tag = this.uint32(end)
    return tag < 8 ? -1 : tag
  }

  /** A varint of at most five bytes and 32 bits, or -1. */
  uint32(end: number): number {
    const bytes = this.bytes
    let value = 0
    let scale = 1
    for (let read = 0; read < 5 && this.at < end; read += 1) {
      const byte = bytes[this.at] ?? 0
      this.at += 1
      // Multiplied, not shifted: a shift would make 32 bits negative.
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value <= 0xffff_ffff ? value : -1
      scale *= 128
    }
    return -1
  }

  /** Where the length-delimited field whose tag was just read ends, or -1: another wire type, or out of range. */
  delimited(tag: number, end: number): number {
    if ((tag & 7) !== LENGTH_DELIMITED) return -1
    const length = this.uint32(end)
    return length < 0 || length > end - this.at ? -1 : this.at + length
  }

  /** Steps over a field that is not wanted. Groups are refused: no message here has one. */
  skip(tag: number, end: number): boolean {
    switch (tag & 7) {
      case 0:
        return this.skipVarint(end)
      case 1:
        return this.advance(8, end)
      case 2: {
        const stop = this.delimited(tag, end)
        if (stop < 0) return false
        this.at = stop
        return true
      }
      case 5:
        return this.advance(4, end)
      default:
        return false
    }
  }

  private skipVarint(end: number): boolean {
    for (let read = 1; read <= 10 && this.at < end; read += 1) {
      const byte = this.bytes[this.at] ?? 0
      this.at += 1
      // The tenth byte holds the last of 64 bits.
      if (byte < 0x80) return read < 10 || byte <= 1
    }
    return false
  }

  private advance(count: number, end: number): boolean {
    if (count > end - this.at) return false
    this.at += count
    return true
  }
}

/** A proto3 string; undefined where the bytes are not UTF-8. */
export function readText(bytes: Buffer, start: number, end: number): string | undefined {
  if (isAscii(bytes, start, end)) return bytes.toString('latin1', start, end)
  return isUtf8(bytes.subarray(start, end)) ? bytes.toString('utf8', start, end) : undefined
}

/** Whether the bytes are `lowerCaseName`, in any case; compared in place, so that unwanted names cost no string. */
export function isNamed(bytes: Buffer, start: number, end: number, lowerCaseName: string): boolean {
  if (end - start !== lowerCaseName.length) return false
  for (let index = 0; index < lowerCaseName.length; index += 1) {
    const byte = bytes[start + index] ?? 0
    const lower = byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte
    if (lower !== lowerCaseName.charCodeAt(index)) return false
  }
  return true
}

function isAscii(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if ((bytes[at] ?? 0) >= 0x80) return false
  return true
}
