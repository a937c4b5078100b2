/**
 * CheckRequest bytes -> CheckView, in one pass and without protobuf reflection: most of a Check's life is a memory hit,
 * and a full decode of thirty headers would cost more than the rest of it.
 */
import type { CheckView } from '../authz/ports.ts'
import { Entry } from './header-entry.ts'
import { isNamed, readText, WireReader } from './wire-reader.ts'

// Field numbers of envoy.service.auth.v3.
const CHECK_ATTRIBUTES = 1
const ATTRIBUTES_REQUEST = 4
const ATTRIBUTES_CONTEXT_EXTENSIONS = 10
const REQUEST_HTTP = 2
const HTTP_METHOD = 2
const HTTP_HEADERS = 3
const HTTP_PATH = 4
const HTTP_HOST = 5
const HTTP_HEADER_MAP = 13
const HEADER_MAP_HEADERS = 1

const NO_CONTEXT: ReadonlyMap<string, string> = new Map()

/** What is read of a Check that is refused unread. */
function unreadable(form: 'not_http' | 'malformed'): CheckView {
  return Object.freeze({
    form,
    method: '',
    path: '',
    host: '',
    credentials: undefined,
    credentialsCount: 0,
    contextKey: '',
    contextExtensions: () => NO_CONTEXT,
    header: () => undefined,
  })
}

const MALFORMED = unreadable('malformed')
const EMPTY = unreadable('not_http')

/**
 * `credentialsHeader`: lower-case name of the one header that is read on every Check. The returned function never throws:
 * bytes that are not a CheckRequest are `form: 'malformed'` (P01, E03), an empty message is `not_http`. The view refers
 * to `bytes`, which must not change while the view is in use.
 */
export function createCheckDecoder({
  credentialsHeader,
}: {
  readonly credentialsHeader: string
}): (bytes: Uint8Array) => CheckView {
  return (bytes) => {
    if (bytes.length === 0) return EMPTY
    const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const view = new WireCheck(buffer, credentialsHeader)
    return view.read() ? view : MALFORMED
  }
}

/** A message that occurs twice is merged, as proto3 has it: each occurrence is read into the same fields. */
class WireCheck implements CheckView {
  form: 'http' | 'not_http' = 'not_http'
  method = ''
  path = ''
  host = ''
  contextKey = ''
  private fromHeaders: string | undefined = undefined
  private headersCount = 0
  private fromHeaderMap: string | undefined = undefined
  private headerMapCount = 0
  private isRaw = false
  /** Start and end of each `http` message; more than one pair only where a sender repeats it. */
  private readonly httpRanges: number[] = []
  private contextStart = 0
  private contextEnd = 0
  private readonly entry = new Entry()
  private readonly bytes: Buffer
  private readonly credentialsHeader: string

  constructor(bytes: Buffer, credentialsHeader: string) {
    this.bytes = bytes
    this.credentialsHeader = credentialsHeader
  }

  /** Envoy fills one of the two; where a sender fills both, the unmerged one counts (E07). */
  get credentials(): string | undefined {
    return this.isRaw ? this.fromHeaderMap : this.fromHeaders
  }

  get credentialsCount(): number {
    return this.isRaw ? this.headerMapCount : this.headersCount
  }

  /** False: not a CheckRequest. */
  read(): boolean {
    const reader = new WireReader(this.bytes, 0)
    if (!this.readCheck(reader, this.bytes.length)) return false
    this.closeContextSpan()
    return true
  }

  contextExtensions(): ReadonlyMap<string, string> {
    const bytes = Buffer.from(this.contextKey, 'latin1')
    const extensions = new Map<string, string>()
    const reader = new WireReader(bytes, 0)
    while (reader.at < bytes.length) {
      const stop = reader.delimited(reader.tag(bytes.length), bytes.length)
      if (stop < 0 || !this.entry.read(reader, stop, false)) break
      const text = this.entry.text(bytes)
      if (text !== undefined) extensions.set(text.key, text.value)
    }
    return extensions
  }

  /** Repeated headers come joined by a comma, as Envoy joins them itself where headers are not raw. */
  header(name: string): string | undefined {
    let found: string | undefined
    for (let pair = 0; pair < this.httpRanges.length; pair += 2) {
      const reader = new WireReader(this.bytes, this.httpRanges[pair] ?? 0)
      const end = this.httpRanges[pair + 1] ?? 0
      while (reader.at < end) {
        const tag = reader.tag(end)
        const field = tag >>> 3
        if (field !== (this.isRaw ? HTTP_HEADER_MAP : HTTP_HEADERS)) {
          if (!reader.skip(tag, end)) break
          continue
        }
        const stop = reader.delimited(tag, end)
        if (stop < 0) break
        if (this.isRaw) found = this.findInHeaderMap(reader, stop, name, found)
        else if (this.entry.read(reader, stop, false) && this.isEntryNamed(name)) found = this.entryText()
      }
    }
    return found
  }

  private findInHeaderMap(reader: WireReader, end: number, name: string, before: string | undefined) {
    let found = before
    while (reader.at < end) {
      const tag = reader.tag(end)
      if (tag >>> 3 !== HEADER_MAP_HEADERS) {
        if (!reader.skip(tag, end)) return found
        continue
      }
      const stop = reader.delimited(tag, end)
      if (stop < 0 || !this.entry.read(reader, stop, true)) return found
      if (this.isEntryNamed(name)) found = found === undefined ? this.entryText() : `${found},${this.entryText()}`
    }
    return found
  }

  private readCheck(reader: WireReader, end: number): boolean {
    while (reader.at < end) {
      const tag = reader.tag(end)
      if (tag < 0) return false
      if (tag >>> 3 === CHECK_ATTRIBUTES) {
        const stop = reader.delimited(tag, end)
        if (stop < 0 || !this.readAttributes(reader, stop)) return false
      } else if (!reader.skip(tag, end)) return false
    }
    return true
  }

  private readAttributes(reader: WireReader, end: number): boolean {
    while (reader.at < end) {
      const fieldStart = reader.at
      const tag = reader.tag(end)
      if (tag < 0) return false
      const field = tag >>> 3
      if (field === ATTRIBUTES_REQUEST) {
        const stop = reader.delimited(tag, end)
        if (stop < 0 || !this.readRequest(reader, stop)) return false
      } else if (field === ATTRIBUTES_CONTEXT_EXTENSIONS) {
        const stop = reader.delimited(tag, end)
        if (stop < 0 || !this.readContext(reader, fieldStart, stop)) return false
      } else if (!reader.skip(tag, end)) return false
    }
    return true
  }

  private readRequest(reader: WireReader, end: number): boolean {
    while (reader.at < end) {
      const tag = reader.tag(end)
      if (tag < 0) return false
      if (tag >>> 3 === REQUEST_HTTP) {
        const stop = reader.delimited(tag, end)
        if (stop < 0) return false
        this.form = 'http'
        this.httpRanges.push(reader.at, stop)
        if (!this.readHttp(reader, stop)) return false
      } else if (!reader.skip(tag, end)) return false
    }
    return true
  }

  private readHttp(reader: WireReader, end: number): boolean {
    while (reader.at < end) {
      const tag = reader.tag(end)
      if (tag < 0) return false
      switch (tag >>> 3) {
        case HTTP_HEADERS: {
          const stop = reader.delimited(tag, end)
          if (stop < 0 || !this.entry.read(reader, stop, false)) return false
          if (!this.isEntryNamed(this.credentialsHeader)) break
          this.headersCount += 1
          this.fromHeaders = this.entryBytes()
          break
        }
        case HTTP_HEADER_MAP: {
          const stop = reader.delimited(tag, end)
          this.isRaw = true
          if (stop < 0 || !this.readHeaderMap(reader, stop)) return false
          break
        }
        case HTTP_METHOD:
        case HTTP_PATH:
        case HTTP_HOST:
          if (!this.readName(reader, tag, end)) return false
          break
        default:
          if (!reader.skip(tag, end)) return false
      }
    }
    return true
  }

  private readName(reader: WireReader, tag: number, end: number): boolean {
    const stop = reader.delimited(tag, end)
    if (stop < 0) return false
    const text = readText(this.bytes, reader.at, stop)
    if (text === undefined) return false
    reader.at = stop
    if (tag >>> 3 === HTTP_METHOD) this.method = text
    else if (tag >>> 3 === HTTP_PATH) this.path = text
    else this.host = text
    return true
  }

  private readHeaderMap(reader: WireReader, end: number): boolean {
    while (reader.at < end) {
      const tag = reader.tag(end)
      if (tag < 0) return false
      if (tag >>> 3 !== HEADER_MAP_HEADERS) {
        if (!reader.skip(tag, end)) return false
        continue
      }
      const stop = reader.delimited(tag, end)
      if (stop < 0 || !this.entry.read(reader, stop, true)) return false
      if (!this.isEntryNamed(this.credentialsHeader)) continue
      this.headerMapCount += 1
      this.fromHeaderMap = this.entryBytes()
    }
    return true
  }

  /** Entries that stand side by side, as they do in practice, become text in one go. */
  private readContext(reader: WireReader, fieldStart: number, end: number): boolean {
    if (!this.entry.read(reader, end, false) || this.entry.text(this.bytes) === undefined) return false
    if (fieldStart !== this.contextEnd) {
      this.closeContextSpan()
      this.contextStart = fieldStart
    }
    this.contextEnd = end
    return true
  }

  private closeContextSpan(): void {
    if (this.contextEnd === this.contextStart) return
    this.contextKey += this.bytes.toString('latin1', this.contextStart, this.contextEnd)
    this.contextStart = this.contextEnd
  }

  private isEntryNamed(lowerCaseName: string): boolean {
    return isNamed(this.bytes, this.entry.keyStart, this.entry.keyEnd, lowerCaseName)
  }

  private entryBytes(): string {
    return this.bytes.toString('latin1', this.entry.valueStart, this.entry.valueEnd)
  }

  private entryText(): string {
    return readText(this.bytes, this.entry.valueStart, this.entry.valueEnd) ?? this.entryBytes()
  }
}
