/**
 * Writes protobuf's wire format from its end to its start: what stands inside a message is written before the message's
 * length prefix, so that every length is known when it is written, and nothing is written twice or put together from
 * pieces. So the last member of a message comes first here.
 */

const VARINT = 0
const FIXED64 = 1
const DELIMITED = 2

/** Room for nearly every reply. */
const INITIAL_BYTES = 4096
/** A buffer that one huge reply needed is not kept for good. */
const LARGEST_KEPT = 64 * 1024
/** Tag and the longest length prefix. */
const PREFIX = 6
/** Up to here a loop is faster than a call into Node. */
const SHORT = 24

/** One message at a time: members, `finish`; `begin` before the next. `field` is below 16 everywhere: every tag is one byte. */
export class WireWriter {
  private bytes: Buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES)
  /** Over the same bytes: Node's own `writeDoubleLE` copies them one by one. */
  private view = viewOf(this.bytes)
  /** Where the last written byte stands. */
  private at = INITIAL_BYTES

  begin(): void {
    if (this.bytes.length > LARGEST_KEPT) this.use(Buffer.allocUnsafeSlow(INITIAL_BYTES))
    this.at = this.bytes.length
  }

  /** A copy of what was written. */
  finish(): Buffer {
    return Buffer.from(this.bytes.subarray(this.at))
  }

  /** Bytes written so far: a mark for `embed` and `takeBack`, and the distance of what comes next from the end. */
  get length(): number {
    return this.bytes.length - this.at
  }

  /** Forgets what was written since `mark`. */
  takeBack(mark: number): void {
    this.at = this.bytes.length - mark
  }

  /** Makes what was written since `mark` an embedded message or map entry. */
  embed(field: number, mark: number): void {
    this.reserve(PREFIX)
    this.varint(this.length - mark)
    this.byte(field * 8 + DELIMITED)
  }

  /** A string; a lone surrogate becomes U+FFFD, so that the bytes are always UTF-8. */
  text(field: number, value: string): void {
    const mark = this.length
    if (value.length > SHORT || !this.shortAscii(value)) {
      const size = Buffer.byteLength(value)
      this.reserve(size)
      this.at -= size
      this.bytes.write(value, this.at, size, 'utf8')
    }
    this.embed(field, mark)
  }

  /** A varint field, written even where it is 0: an explicit `status.code` is worth two bytes. */
  integer(field: number, value: number): void {
    this.reserve(2 * PREFIX)
    this.varint(value)
    this.byte(field * 8 + VARINT)
  }

  double(field: number, value: number): void {
    this.reserve(9)
    this.at -= 8
    this.view.setFloat64(this.at, value, true)
    this.byte(field * 8 + FIXED64)
  }

  /** What another writer wrote. */
  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.at -= bytes.length
    this.bytes.set(bytes, this.at)
  }

  private shortAscii(value: string): boolean {
    this.reserve(SHORT)
    const start = this.at - value.length
    for (let index = 0; index < value.length; index += 1) {
      const character = value.charCodeAt(index)
      if (character >= 0x80) return false
      this.bytes[start + index] = character
    }
    this.at = start
    return true
  }

  private varint(value: number): void {
    if (value < 0x80) {
      this.byte(value)
      return
    }
    let size = 1
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size += 1
    this.at -= size
    let rest = value
    for (let index = 0; index < size; index += 1) {
      this.bytes[this.at + index] = (rest % 0x80) + (index === size - 1 ? 0 : 0x80)
      rest = Math.floor(rest / 0x80)
    }
  }

  private byte(value: number): void {
    this.at -= 1
    this.bytes[this.at] = value
  }

  private reserve(size: number): void {
    if (size <= this.at) return
    const { length } = this
    const grown = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, length + size + PREFIX))
    this.bytes.copy(grown, grown.length - length, this.at)
    this.at = grown.length - length
    this.use(grown)
  }

  private use(bytes: Buffer): void {
    this.bytes = bytes
    this.view = viewOf(bytes)
  }
}

const viewOf = (bytes: Buffer): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
