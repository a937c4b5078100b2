/** The tables of a file, matched to the rows of the table of keys: case of table names disregarded, key names exact. */
import { isDeepStrictEqual } from 'node:util'
import {
  headerOf,
  knownTables,
  ownTables,
  rows,
  rowsByLowerPath,
  rowsByTable,
  tablesIn,
  wildcardOf,
} from './known-tables.ts'
import { nearest } from './nearest.ts'
import type { Report } from './report.ts'
import { nameOf, type Row, tableOf } from './schema.ts'
import type { TomlDocument, TomlTable } from './toml.ts'
import type { WrittenKeys } from './written.ts'

/** What a file says; problems with its names go to the report. */
export function readTables(document: TomlDocument, report: Report): WrittenKeys {
  const reader = new TableReader(document, report)
  reader.walk(document.root, '')
  reader.nameUnused()
  return reader.written
}

/** A table of TOML: neither list, date nor big integer. */
export function isTable(value: unknown): value is TomlTable {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}

class TableReader {
  readonly written: WrittenKeys = new Map()
  readonly #document: TomlDocument
  readonly #report: Report
  /** Top-level table -> unused paths below it, as written. */
  readonly #unused = new Map<string, Set<string>>()

  constructor(document: TomlDocument, report: Report) {
    this.#document = document
    this.#report = report
  }

  walk(table: TomlTable, path: string): void {
    for (const key of Object.keys(table)) {
      const value = table[key]
      const keyPath = path === '' ? key : `${path}.${key}`
      if (isTable(value)) this.#table(value, keyPath)
      else if (Array.isArray(value) && value.length > 0 && value.every(isTable)) this.#tables(value, keyPath)
      else this.#leaf(value, path, key)
    }
  }

  #table(value: TomlTable, path: string): void {
    const lower = path.toLowerCase()
    const row = rowsByLowerPath.get(lower)
    if (row?.type === 'map') {
      this.#map(value, row, path)
      return
    }
    if (row !== undefined && row.type !== 'tables') {
      this.#report.error(
        row.path,
        `\`${row.path}\` is a key, not a table. Write \`${nameOf(row.path)} = ...\`.`,
        this.#line(path),
      )
      return
    }
    if (row?.path === 'policy.rules') {
      this.#report.error(row.path, 'Rules are an array of tables. Write `[[policy.rules]]`.', this.#line(path))
      return
    }
    if (knownTables.has(lower)) {
      this.walk(value, path)
      return
    }
    const wildcard = wildcardOf(lower)
    if (wildcard !== undefined) {
      // An empty table says nothing, but its name is still worth a notice.
      if (Object.keys(value).length === 0 || wildcard.status === 'later') {
        this.#accept(wildcard, path)
        return
      }
      this.walk(value, path)
      return
    }
    this.#unknownTable(path, Object.keys(value))
  }

  #tables(value: readonly TomlTable[], path: string): void {
    const lower = path.toLowerCase()
    const row = rowsByLowerPath.get(lower)
    if (row?.type === 'tables') {
      this.#write(row, value, path)
      return
    }
    // Before the wildcards: behind `[[security]]` too may stand what must not be ignored.
    if (row === undefined && knownTables.has(lower)) {
      this.#report.error(path, `Write \`[${knownTables.get(lower)}]\`, with single brackets.`, this.#line(path))
      return
    }
    const wildcard = wildcardOf(lower)
    if (wildcard !== undefined) {
      this.#accept(wildcard, path)
      return
    }
    if (row !== undefined) {
      this.#write(row, value, path)
      return
    }
    this.#unknownTable(path, [])
  }

  #map(value: TomlTable, row: Row, path: string): void {
    const earlier = this.written.get(row.path)?.value
    const merged = new Map<string, unknown>(earlier instanceof Map ? earlier : [])
    for (const key of Object.keys(value)) {
      if (merged.has(key) && merged.get(key) !== value[key]) this.#twice(`${row.path}.${key}`, `${path}.${key}`)
      merged.set(key, value[key])
    }
    this.written.set(row.path, { row, value: merged, source: { kind: 'file', line: this.#line(path) } })
  }

  #leaf(value: unknown, table: string, key: string): void {
    const siblings = rowsByTable.get(table.toLowerCase()) ?? []
    const path = table === '' ? key : `${table}.${key}`
    const row = siblings.find((sibling) => nameOf(sibling.path) === key)
    if (row !== undefined && row.type !== 'map') {
      this.#write(row, value, path)
      return
    }
    const line = this.#line(path)
    const ownTable = ownTables.find((name) => name.toLowerCase() === path.toLowerCase())
    if (ownTable !== undefined) {
      this.#report.error(path, `\`${ownTable}\` is a table. Write \`${headerOf(ownTable)}\`.`, line)
      return
    }
    const near = nearest(
      key,
      siblings.map((sibling) => nameOf(sibling.path)),
      // Of four letters two are half the name: `host` is no misspelt `port`.
      key.length <= 4 ? 1 : 2,
    )
    const wildcard = wildcardOf(path.toLowerCase())
    if (wildcard !== undefined && near === undefined) {
      this.#accept(wildcard, path)
      return
    }
    if (table === '') {
      this.#topLevel(key, line)
      return
    }
    if (near?.toLowerCase() === key.toLowerCase()) {
      this.#report.error(path, `Unknown key. Key names are matched exactly: write \`${near}\`.`, line)
      return
    }
    const suggestion = near ?? nearest(key, [...siblings.map((sibling) => nameOf(sibling.path)), ...tablesIn(table)])
    this.#report.error(
      path,
      `Unknown key. ${suggestion === undefined ? 'Remove it.' : `The nearest known key here is \`${suggestion}\`.`}`,
      line,
    )
  }

  #topLevel(key: string, line: number | undefined): void {
    const home = rows.find((row) => nameOf(row.path).toLowerCase() === key.toLowerCase())
    const advice =
      home === undefined
        ? 'Keys stand below a table such as `[keyManager]`.'
        : `It belongs below \`[${tableOf(home.path)}]\`.`
    this.#report.error(key, `Unknown key outside of any table. ${advice}`, line)
  }

  #write(row: Row, value: unknown, path: string): void {
    const earlier = this.written.get(row.path)
    const line = this.#line(path)
    if (earlier !== undefined && !isDeepStrictEqual(earlier.value, value)) {
      this.#twice(row.path, path)
      return
    }
    this.written.set(row.path, { row, value, source: { kind: 'file', line } })
    if (row.status === 'unused') this.#report.notice(row.path, 'Not used by this sidecar.', line)
  }

  #twice(key: string, path: string): void {
    const first = this.#line(path)
    this.#report.error(
      key,
      `Written twice with different values (table names are matched without regard to case); first in line ${first}. Keep one.`,
      this.#document.again.get(exactly(path)) ?? first,
    )
  }

  #accept(wildcard: Row, path: string): void {
    if (wildcard.status === 'later') {
      this.#report.error(
        path,
        `${wildcard.doc.replace(/\.$/, '')}: not supported yet. Remove this table.`,
        this.#line(path),
      )
      return
    }
    const top = wildcard.path.slice(0, -2)
    const unused = this.#unused.get(top) ?? new Set()
    this.#unused.set(top, unused.add(path.slice(top.length + 1)))
  }

  /** `keys`: those that stand in it. */
  #unknownTable(path: string, keys: readonly string[]): void {
    const parent = tableOf(path)
    const line = this.#line(path)
    if (parent !== '' && knownTables.has(parent.toLowerCase())) {
      const siblings = [
        ...tablesIn(parent),
        ...(rowsByTable.get(parent.toLowerCase()) ?? []).map((row) => nameOf(row.path)),
      ]
      // 3.0 wrote `tokenCache.expiryTime`.
      const joined = keys.flatMap((key) => {
        const whole = `${nameOf(path)}${key}`.toLowerCase()
        return siblings.filter((sibling) => sibling.toLowerCase() === whole)
      })
      if (joined.length > 0) {
        const names = joined.map((name) => `\`${name}\``).join(', ')
        this.#report.error(path, `Unknown table. Written as one word in \`[${parent}]\`: ${names}.`, line)
        return
      }
      const near = nearest(nameOf(path), siblings)
      this.#report.error(
        path,
        `Unknown table. ${near === undefined ? 'Remove it.' : `The nearest known name in \`[${parent}]\` is \`${near}\`.`}`,
        line,
      )
      return
    }
    const near = nearest(path, ownTables, 2)
    if (near !== undefined) {
      this.#report.error(path, `Unknown table. Did you mean \`${headerOf(near)}\`?`, line)
      return
    }
    this.#report.notice(path, `\`[${path}]\` is not known to this sidecar and not used.`, line)
  }

  /** One notice for each table of WSO2 that means nothing here. */
  nameUnused(): void {
    for (const [top, unused] of this.#unused) {
      const partly = rows.some((row) => row.path.toLowerCase().startsWith(`${top.toLowerCase()}.`))
      const names = [...unused].filter((name) => name !== '')
      const listed = names.length > 8 ? `${names.slice(0, 8).join(', ')}, ...` : names.join(', ')
      const detail =
        partly && names.length > 0
          ? `\`[${top}]\`: ${listed}: not used by this sidecar.`
          : `\`[${top}]\` is not used by this sidecar.`
      this.#report.notice(top, detail, this.#line(top) ?? this.#line(`${top}.${names[0] ?? ''}`))
    }
  }

  #line(path: string): number | undefined {
    return lineIn(this.#document.lines, path)
  }
}

/** The line of a key or table: tables lower-cased, the key's own case kept; for an absent key that of its table. */
export function lineIn(lines: ReadonlyMap<string, number>, path: string): number | undefined {
  const lower = path.toLowerCase()
  const table = tableOf(lower)
  const found = lines.get(exactly(path)) ?? lines.get(lower) ?? lines.get(`${lower}[0]`)
  if (found !== undefined || path === '') return found
  // A table that is only implied by those below it: the first of them.
  const below = [...lines].find(([key]) => key.startsWith(`${lower}.`))
  return below?.[1] ?? (table === '' ? undefined : lines.get(table))
}

/** As `scanKeys` spells it: tables lower-cased, the key's own case. */
function exactly(path: string): string {
  const table = tableOf(path.toLowerCase())
  return `${table === '' ? '' : `${table}.`}${nameOf(path)}`
}
