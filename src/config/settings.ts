/** All keys together: flags over environment over file over defaults, each read by its type. */
import { formatDuration, parseDuration } from './duration.ts'
import { type Environment, isReference, misspeltReference, resolveReference } from './references.ts'
import type { KeyPlace, Report } from './report.ts'
import { nameOf, type Row, rowOf, SCHEMA, tableOf } from './schema.ts'
import { Secret } from './secret.ts'
import { shownUrl } from './url.ts'
import { readValue, type Value } from './values.ts'
import type { Source, Written, WrittenKeys } from './written.ts'

/** Typed look-ups by documented path; asking for another type than the row's is a mistake in this program and throws. */
export interface Settings {
  /** Written text or the default; undefined where there is neither. */
  text(path: string): string | undefined
  secret(path: string): Secret | undefined
  secrets(path: string): readonly Secret[]
  /** Undefined where nothing is written and there is no default. */
  flag(path: string): boolean | undefined
  isOn(path: string): boolean
  /** Whole; the row has a default or a problem was reported. */
  integer(path: string): number
  durationMs(path: string): number
  list(path: string): readonly string[]
  value(path: string): Value | undefined
  /** Whether somebody wrote a value that is not empty and not wrong. */
  isWritten(path: string): boolean
  /** Whether nothing was written: a wrong value is not reported as missing besides. */
  isMissing(path: string): boolean
  /** What is written in the file or a variable, before its unit is applied; undefined where nothing is. */
  raw(path: string): unknown
  /** What is written without a unit, references followed; undefined where it has one or nothing is written. */
  bareNumber(path: string): number | undefined
  source(path: string): Source | undefined
  readonly env: Environment
  /** Notes a file whose change means a reload. */
  usesFile(path: string): void
}

/** Reads every written value and reports the wrong ones. `layers`: later ones win. */
export function readSettings(
  layers: readonly WrittenKeys[],
  env: Environment,
  report: Report,
  usesFile: (path: string) => void,
  lineOf: (key: string) => number | undefined,
): Settings {
  const written = mergeLayers(layers)
  report.locate((key) => placeOfKey(key, written, lineOf))
  const values = new Map<string, Value>()
  const invalid = new Set<string>()
  for (const [path, { row, value, source }] of switchesFirst(written)) {
    const follow = !isSwitchedOff(path, values)
    const read = readValue(row, value, { env, usesFile, fromText: source.kind !== 'file', follow })
    if (read.kind === 'value') {
      values.set(path, read.value)
      if (follow) warnOfMisspeltReference(path, value, report)
    }
    if (read.kind !== 'problem') continue
    invalid.add(path)
    report.error(path, `\`${nameOf(path)}\` ${read.problem}.`)
  }
  return new SettingsView(values, invalid, written, env, usesFile)
}

/** A warning and no error: WSO2 sends such a value as it is written too, and it may be a password. */
function warnOfMisspeltReference(path: string, value: unknown, report: Report): void {
  const texts: readonly unknown[] = value instanceof Map ? [...value.values()] : Array.isArray(value) ? value : [value]
  const [begins] = texts.flatMap((text) => (typeof text === 'string' ? (misspeltReference(text) ?? []) : []))
  if (begins === undefined) return
  report.warning(
    path,
    `\`${nameOf(path)}\` begins with \`${begins}\` but is no reference, so it is used letter for letter. A reference is written "@env:{NAME}", "@file:{/path}" or "@encrypted:{base64}". Where it does begin so, a file or variable may hold it that a reference names.`,
  )
}

function mergeLayers(layers: readonly WrittenKeys[]): WrittenKeys {
  const written: WrittenKeys = new Map()
  for (const layer of layers) {
    for (const [path, one] of layer)
      if (one.value !== '' || one.row.emptyIsValue || !written.has(path)) written.set(path, one)
  }
  return written
}

function placeOfKey(key: string, written: WrittenKeys, lineOf: (key: string) => number | undefined): KeyPlace {
  const source = written.get(key)?.source
  if (source?.kind === 'variable') return { line: undefined, origin: `the environment variable ${source.name}` }
  if (source?.kind === 'flag') return { line: undefined, origin: `the command line` }
  return { line: lineOf(key), origin: undefined }
}

/** The `enabled` keys, outer tables first, before what they switch off. */
function switchesFirst(written: WrittenKeys): readonly (readonly [string, Written])[] {
  const depthOf = (path: string): number => path.split('.').length
  const isSwitch = ([path]: readonly [string, Written]): boolean => nameOf(path) === 'enabled'
  const all = [...written]
  return [
    ...all.filter(isSwitch).toSorted(([a], [b]) => depthOf(a) - depthOf(b)),
    ...all.filter((one) => !isSwitch(one)),
  ]
}

/** Its port is that of the probes too, which are served whether or not metrics are. */
const METRICS = 'b7a.observability.metrics'

/** True below a table whose `enabled` was read as false: it is type-checked and otherwise ignored. */
function isSwitchedOff(path: string, values: ReadonlyMap<string, Value>): boolean {
  for (let table = tableOf(path); table !== ''; table = tableOf(table)) {
    if (table !== METRICS && values.get(`${table}.enabled`) === false) return true
  }
  return false
}

class SettingsView implements Settings {
  readonly env: Environment
  readonly usesFile: (path: string) => void
  readonly #values: ReadonlyMap<string, Value>
  readonly #invalid: ReadonlySet<string>
  readonly #written: WrittenKeys

  constructor(
    values: ReadonlyMap<string, Value>,
    invalid: ReadonlySet<string>,
    written: WrittenKeys,
    env: Environment,
    usesFile: (path: string) => void,
  ) {
    this.#values = values
    this.#invalid = invalid
    this.#written = written
    this.env = env
    this.usesFile = usesFile
  }

  value(path: string): Value | undefined {
    return this.#values.get(path) ?? defaultOf(rowOf(path))
  }

  text(path: string): string | undefined {
    const value = this.value(path)
    return value === undefined || typeof value === 'string' ? value : mistaken(path)
  }

  secret(path: string): Secret | undefined {
    const value = this.value(path)
    return value === undefined || value instanceof Secret ? value : mistaken(path)
  }

  secrets(path: string): readonly Secret[] {
    const value = this.value(path)
    return Array.isArray(value) ? value.filter((one) => one instanceof Secret) : []
  }

  flag(path: string): boolean | undefined {
    const value = this.value(path)
    return value === undefined || typeof value === 'boolean' ? value : mistaken(path)
  }

  isOn(path: string): boolean {
    return this.flag(path) === true
  }

  integer(path: string): number {
    const value = this.value(path)
    return typeof value === 'number' ? value : mistaken(path)
  }

  durationMs(path: string): number {
    return this.integer(path)
  }

  list(path: string): readonly string[] {
    const value = this.value(path)
    return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : mistaken(path)
  }

  isWritten(path: string): boolean {
    return this.#values.has(path)
  }

  isMissing(path: string): boolean {
    return !this.#values.has(path) && !this.#invalid.has(path)
  }

  raw(path: string): unknown {
    return this.#written.get(path)?.value
  }

  bareNumber(path: string): number | undefined {
    const raw = this.raw(path)
    const resolved = typeof raw === 'string' && isReference(raw) ? resolveReference(raw, this.env) : undefined
    const number = Number((resolved?.kind === 'text' ? resolved.text : raw) || Number.NaN)
    return Number.isFinite(number) ? number : undefined
  }

  source(path: string): Source | undefined {
    return this.#written.get(path)?.source
  }
}

function defaultOf(row: Row): Value | undefined {
  if (row.type === 'duration' && typeof row.default === 'string') return parseDuration(row.default)
  if (row.type === 'addresses' && typeof row.default === 'string') return [row.default]
  return row.default
}

function mistaken(path: string): never {
  throw new Error(`configuration key ${path} is read as a type it does not have`)
}

/** The effective value of every key that is used, as a person would write it; secrets are masked. */
export function describeValue(settings: Settings, row: Row): string {
  const value = settings.value(row.path)
  if (value === undefined) return '-'
  if (row.type === 'secret' || row.type === 'secrets') return '[redacted]'
  if (row.type === 'duration' && typeof value === 'number') return formatDuration(value)
  if (value instanceof Map) return JSON.stringify(Object.fromEntries(value))
  // A URL that is refused for its user name and password is not shown either.
  if (typeof value === 'string') return value.includes('@') ? '[redacted]' : JSON.stringify(shownUrl(value))
  return JSON.stringify(value)
}

/** Rows a file or a variable can set. */
export const SETTABLE = SCHEMA.filter((row) => !row.path.endsWith('*') && !row.path.includes('[]'))
