/**
 * Where keys are written. The TOML library says nothing about positions, quotes secrets in its messages, and writes
 * through inherited names (`[constructor]` reaches `Object` itself), so the text is walked here before it sees it.
 */

/** A place in the text, both from 1. */
export interface Place {
  readonly line: number
  readonly column: number
}

export type Scanned =
  /** Line of each key and table: table segments lower-cased, `[n]` after the name of an array of tables. */
  | {
      readonly kind: 'keys'
      readonly lines: ReadonlyMap<string, number>
      /** Of those that stand twice, the last line. */
      readonly again: ReadonlyMap<string, number>
    }
  | { readonly kind: 'syntax'; readonly place: Place; readonly message: string }
  | { readonly kind: 'reserved'; readonly place: Place; readonly name: string }

class Refused extends Error {
  readonly at: number
  readonly reserved: string | undefined

  constructor(message: string, at: number, reserved?: string) {
    super(message)
    this.at = at
    this.reserved = reserved
  }
}

/** Nesting of lists and inline tables, and names joined by dots; deeper text is no configuration of ours. */
const DEEPEST = 32
const BARE = /[A-Za-z0-9_-]/
const ESCAPES: Readonly<Record<string, string>> = { b: '\b', t: '\t', n: '\n', f: '\f', r: '\r', '"': '"', '\\': '\\' }

/** Walks the whole text; accepts everything the TOML library accepts, and some more that it refuses itself. */
export function scanKeys(text: string): Scanned {
  const scanner = new KeyScanner(text)
  try {
    scanner.document()
    return { kind: 'keys', lines: scanner.lines, again: scanner.again }
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    const place = placeOf(text, error.at)
    return error.reserved === undefined
      ? { kind: 'syntax', place, message: error.message }
      : { kind: 'reserved', place, name: error.reserved }
  }
}

/** Line and column of an offset, both from 1. */
export function placeOf(text: string, offset: number): Place {
  const before = text.slice(0, offset)
  const lineStart = before.lastIndexOf('\n') + 1
  return { line: before.split('\n').length, column: offset - lineStart + 1 }
}

class KeyScanner {
  readonly lines = new Map<string, number>()
  readonly again = new Map<string, number>()
  readonly #text: string
  #at = 0
  #line = 1
  #lineAt = 0
  readonly #elements = new Map<string, number>()

  constructor(text: string) {
    this.#text = text
  }

  document(): void {
    let table = ''
    for (;;) {
      this.#skip(true)
      if (this.#at >= this.#text.length) return
      if (this.#peek() === '[') table = this.#header()
      else this.#assignment(table, 0)
      this.#skip(false)
      const next = this.#peek()
      if (next !== '' && next !== '\n' && next !== '\r') throw new Refused('only a comment may follow here', this.#at)
    }
  }

  #peek(ahead = 0): string {
    return this.#text.charAt(this.#at + ahead)
  }

  /** Skips blanks and comments, line ends too where they may stand. */
  #skip(lineEnds: boolean): void {
    for (;;) {
      const char = this.#peek()
      if (char === '#') {
        const end = this.#text.indexOf('\n', this.#at)
        this.#at = end < 0 ? this.#text.length : end
      } else if (char === ' ' || char === '\t' || (lineEnds && (char === '\n' || char === '\r'))) this.#at += 1
      else return
    }
  }

  #currentLine(): number {
    for (; this.#lineAt < this.#at; this.#lineAt++) if (this.#text.charCodeAt(this.#lineAt) === 10) this.#line += 1
    return this.#line
  }

  #note(path: string): void {
    if (this.lines.has(path)) this.again.set(path, this.#currentLine())
    else this.lines.set(path, this.#currentLine())
  }

  #header(): string {
    const isArray = this.#peek(1) === '['
    this.#at += isArray ? 2 : 1
    const line = this.#currentLine()
    const segments = this.#keys()
    this.#expect(isArray ? ']]' : ']', 'a table header ends with')
    let path = ''
    for (const [index, segment] of segments.entries()) {
      path = join(path, segment.toLowerCase())
      const last = index === segments.length - 1
      const seen = this.#elements.get(path)
      if (isArray && last) {
        const element = seen === undefined ? 0 : seen + 1
        this.#elements.set(path, element)
        if (!this.lines.has(path)) this.lines.set(path, line)
        path = `${path}[${element}]`
      } else if (seen !== undefined) path = `${path}[${seen}]`
    }
    if (!this.lines.has(path)) this.lines.set(path, line)
    return path
  }

  #assignment(table: string, depth: number): void {
    this.#note(table)
    const segments = this.#keys()
    const path = pathOf(table, segments)
    this.#note(path)
    this.#expect('=', 'a key is followed by')
    this.#value(path, depth)
  }

  /** Key segments separated by dots. */
  #keys(): readonly string[] {
    const segments: string[] = []
    for (;;) {
      this.#skip(false)
      const at = this.#at
      const name = this.#key()
      // `__proto__`, `constructor`, `toString`, ...: the library would write into what every object inherits.
      if (name in {}) throw new Refused('reserved', at, name)
      segments.push(name)
      if (segments.length > DEEPEST) throw new Refused('too many names are joined by dots', at)
      this.#skip(false)
      if (this.#peek() !== '.') return segments
      this.#at += 1
    }
  }

  #key(): string {
    const quote = this.#peek()
    if (quote === '"' || quote === "'") return this.#string(false)
    const start = this.#at
    while (BARE.test(this.#peek())) this.#at += 1
    if (this.#at === start) throw new Refused('a key or a table header is expected here', this.#at)
    return this.#text.slice(start, this.#at)
  }

  #expect(token: string, before: string): void {
    this.#skip(false)
    if (!this.#text.startsWith(token, this.#at)) throw new Refused(`${before} \`${token}\``, this.#at)
    this.#at += token.length
  }

  #value(path: string, depth: number): void {
    if (depth > DEEPEST) throw new Refused('lists and inline tables are nested too deeply', this.#at)
    this.#skip(false)
    const char = this.#peek()
    if (char === '"' || char === "'") {
      this.#string(true)
      return
    }
    if (char === '[') {
      this.#array(path, depth)
      return
    }
    if (char === '{') {
      this.#inlineTable(path, depth)
      return
    }
    const start = this.#at
    while (!['', ',', ']', '}', '#', '\n', '\r'].includes(this.#peek())) this.#at += 1
    if (this.#text.slice(start, this.#at).trim() === '') throw new Refused('a value is expected here', start)
  }

  #array(path: string, depth: number): void {
    const start = this.#at
    this.#at += 1
    for (let index = 0; ; index++) {
      this.#skip(true)
      if (this.#peek() === ']') break
      this.#note(`${path}[${index}]`)
      this.#value(`${path}[${index}]`, depth + 1)
      this.#skip(true)
      if (this.#peek() === ',') this.#at += 1
      else if (this.#peek() !== ']') throw new Refused('this list does not end', start)
    }
    this.#at += 1
  }

  #inlineTable(path: string, depth: number): void {
    const start = this.#at
    this.#at += 1
    for (;;) {
      this.#skip(true)
      if (this.#peek() === '}') break
      this.#assignment(path.toLowerCase(), depth + 1)
      this.#skip(true)
      if (this.#peek() === ',') this.#at += 1
      else if (this.#peek() !== '}') throw new Refused('this inline table does not end', start)
    }
    this.#at += 1
  }

  /** Any of the four kinds of string; the decoded text matters for keys only. */
  #string(mayBeLong: boolean): string {
    const start = this.#at
    const quote = this.#peek()
    const long = mayBeLong && this.#text.startsWith(quote.repeat(3), start)
    const end = long ? quote.repeat(3) : quote
    this.#at += end.length
    let decoded = ''
    while (!this.#text.startsWith(end, this.#at)) {
      const char = this.#peek()
      if (char === '' || (!long && char === '\n')) throw new Refused('this text is not closed', start)
      if (char === '\\' && quote === '"') decoded += this.#escape()
      else {
        decoded += char
        this.#at += 1
      }
    }
    this.#at += end.length
    // TOML 1.0: up to two quotes may stand right before the closing three.
    for (let extra = 0; long && extra < 2 && this.#peek() === quote; extra++) this.#at += 1
    return decoded
  }

  #escape(): string {
    const kind = this.#peek(1)
    const digits = kind === 'u' ? 4 : kind === 'U' ? 8 : 0
    const code = Number.parseInt(this.#text.slice(this.#at + 2, this.#at + 2 + digits), 16)
    this.#at += 2 + digits
    if (digits > 0 && code >= 0 && code <= 0x10ffff) return String.fromCodePoint(code)
    return ESCAPES[kind] ?? ''
  }
}

function join(table: string, name: string): string {
  return table === '' ? name : `${table}.${name}`
}

/** The last segment is a key and keeps its case; those before it are tables. */
function pathOf(table: string, segments: readonly string[]): string {
  return segments.reduce(
    (path, segment, index) => join(path, index === segments.length - 1 ? segment : segment.toLowerCase()),
    table,
  )
}
