/**
 * Records of one size by number, from 0, outside V8's heap: the collector has nothing to walk. They lie in segments, so
 * that growing copies nothing, whatever their number. A new record is zeroed.
 */
const SEGMENT_BITS = 12
const RECORDS_PER_SEGMENT = 1 << SEGMENT_BITS

export class Records {
  readonly #bytesEach: number
  readonly #segments: DataView[] = []

  constructor(bytesEach: number) {
    this.#bytesEach = bytesEach
  }

  /** Where the record lies, with others, from `offset(record)` on. Throws RangeError where there was never one. */
  segment(record: number): DataView {
    const segment = this.#segments[record >>> SEGMENT_BITS]
    if (segment === undefined) throw new RangeError('no such record')
    return segment
  }

  offset(record: number): number {
    return (record & (RECORDS_PER_SEGMENT - 1)) * this.#bytesEach
  }

  /** Makes room for the records up to and with this one. */
  reserve(record: number): void {
    while (this.#segments.length <= record >>> SEGMENT_BITS) {
      this.#segments.push(new DataView(new ArrayBuffer(RECORDS_PER_SEGMENT * this.#bytesEach)))
    }
  }

  clear(): void {
    this.#segments.length = 0
  }
}
