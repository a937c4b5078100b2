/** One entry of `map<string, string>` or one `config.core.v3.HeaderValue`: the two have the same first two fields. */
import { readText, type WireReader } from './wire-reader.ts'

const KEY = 1
const VALUE = 2
const RAW_VALUE = 3

/** Ranges of an entry's parts; one object per message, filled again for each entry. */
export class Entry {
  keyStart = 0
  keyEnd = 0
  valueStart = 0
  valueEnd = 0

  /**
   * Reads the entry that ends at `end`. `raw`: `raw_value` counts, and wins over `value`.
   * Absent parts are empty, a repeated part counts by its last occurrence, as in proto3. False: not protobuf.
   */
  read(reader: WireReader, end: number, raw: boolean): boolean {
    let rawStart = 0
    let rawEnd = 0
    this.keyStart = this.keyEnd = this.valueStart = this.valueEnd = 0
    while (reader.at < end) {
      const tag = reader.tag(end)
      if (tag < 0) return false
      const field = tag >>> 3
      if (field !== KEY && field !== VALUE && (field !== RAW_VALUE || !raw)) {
        if (!reader.skip(tag, end)) return false
        continue
      }
      const stop = reader.delimited(tag, end)
      if (stop < 0) return false
      if (field === KEY) {
        this.keyStart = reader.at
        this.keyEnd = stop
      } else if (field === VALUE) {
        this.valueStart = reader.at
        this.valueEnd = stop
      } else {
        rawStart = reader.at
        rawEnd = stop
      }
      reader.at = stop
    }
    if (rawEnd > rawStart) {
      this.valueStart = rawStart
      this.valueEnd = rawEnd
    }
    return true
  }

  /** Both parts as text; undefined where one of them is not UTF-8. */
  text(bytes: Buffer): { readonly key: string; readonly value: string } | undefined {
    const key = readText(bytes, this.keyStart, this.keyEnd)
    const value = readText(bytes, this.valueStart, this.valueEnd)
    return key === undefined || value === undefined ? undefined : { key, value }
  }
}
