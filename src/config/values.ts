/** One written value, read by the type of its row. */
import { formatDuration, parseDuration, wholeMs } from './duration.ts'
import { type Environment, isReference, resolveReference } from './references.ts'
import type { Row } from './schema.ts'
import { Secret } from './secret.ts'
import { isTable } from './tables.ts'

export type Value =
  | string
  | number
  | boolean
  | Secret
  | readonly string[]
  | readonly Secret[]
  | ReadonlyMap<string, unknown>
  | readonly unknown[]

/** The value, nothing (an empty text), or what is wrong with it, as the rest of a sentence. */
export type ReadValue =
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'absent' }
  | { readonly kind: 'problem'; readonly problem: string }

export interface ReadingContext {
  readonly env: Environment
  /** True for a variable or flag: numbers, booleans and lists are parsed from text. */
  readonly fromText: boolean
  /** False in a section that is switched off: its references need not lead anywhere. */
  readonly follow: boolean
  /** Told every file a reference names. */
  readonly usesFile: (path: string) => void
}

/** Reads one value; secrets never appear in a problem. */
export function readValue(row: Row, written: unknown, context: ReadingContext): ReadValue {
  if (written === '' && !row.emptyIsValue) return { kind: 'absent' }
  if (typeof written === 'string' && isReference(written)) {
    if (!context.follow) return { kind: 'absent' }
    const resolved = resolveReference(written, context.env)
    if (resolved.file !== undefined) context.usesFile(resolved.file)
    if (resolved.kind === 'problem') return wrong(resolved.problem)
    return byType(row, resolved.text, { ...context, fromText: true })
  }
  return byType(row, written, context)
}

function byType(row: Row, written: unknown, context: ReadingContext): ReadValue {
  switch (row.type) {
    case 'text':
      return text(row, written)
    case 'secret':
      return typeof written === 'string' ? value(new Secret(written)) : wrong('must be text, in quotes')
    case 'secrets':
      return secrets(row, written, context)
    case 'boolean':
      return boolean(written, context.fromText)
    case 'integer':
      return integer(row, written, context.fromText)
    case 'duration':
      return duration(row, written, context.fromText)
    case 'workers':
      return workers(row, written, context.fromText)
    case 'list':
      return list(written, context, false)
    case 'scopes':
      return list(written, { ...context, fromText: context.fromText || typeof written === 'string' }, true)
    case 'addresses':
      return list(written, { ...context, fromText: context.fromText || typeof written === 'string' }, false)
    case 'tables':
      return Array.isArray(written) && written.every(isTable)
        ? value(written)
        : wrong(`must be an array of tables: \`[[${row.path}]]\``)
    case 'map':
      return written instanceof Map ? value(written) : wrong(`must be a table: \`[${row.path}]\``)
    case 'any':
      return { kind: 'absent' }
    default:
      return row.type satisfies never
  }
}

function text(row: Row, written: unknown): ReadValue {
  if (typeof written !== 'string') return wrong('must be text, in quotes')
  if (row.choices === undefined || row.choices.includes(written)) return value(written)
  return wrong(`must be one of ${row.choices.map((choice) => `"${choice}"`).join(', ')}`)
}

function secrets(row: Row, written: unknown, context: ReadingContext): ReadValue {
  if (!Array.isArray(written))
    return typeof written === 'string' ? value([new Secret(written)]) : wrong('must be text, or a list of two texts')
  if (written.length !== 2) return wrong('may be a list of exactly two secrets: the new one and the old one')
  const read: Secret[] = []
  for (const one of written) {
    const result = readValue({ ...row, type: 'secret' }, one, context)
    if (result.kind === 'problem') return result
    if (result.kind === 'value' && result.value instanceof Secret) read.push(result.value)
    else if (context.follow) return wrong('holds an empty text')
  }
  return value(read)
}

function boolean(written: unknown, fromText: boolean): ReadValue {
  const plain = fromText && typeof written === 'string' ? written.trim().toLowerCase() : written
  if (plain === true || (fromText && plain === 'true')) return value(true)
  if (plain === false || (fromText && plain === 'false')) return value(false)
  return wrong(fromText ? 'must be true or false' : 'must be true or false, without quotes')
}

function integer(row: Row, written: unknown, fromText: boolean): ReadValue {
  const number =
    fromText && typeof written === 'string' && /^[+-]?\d{1,15}$/.test(written.trim()) ? Number(written) : written
  const [lowest, highest] = row.range ?? [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]
  if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < lowest || number > highest) {
    return wrong(`must be a whole number from ${lowest} to ${highest}${fromText ? '' : ', without quotes'}`)
  }
  return value(number)
}

function workers(row: Row, written: unknown, fromText: boolean): ReadValue {
  if (written === 'auto') return value('auto')
  const read = integer({ ...row, range: [1, 64] }, written, fromText)
  return read.kind === 'problem' ? wrong(read.problem.replace('must be', 'must be "auto" or')) : read
}

function duration(row: Row, written: unknown, fromText: boolean): ReadValue {
  const plain = typeof written === 'string' ? written.trim() : written
  const number = fromText && typeof plain === 'string' && /^\d{1,15}(\.\d+)?$/.test(plain) ? Number(plain) : plain
  const ms =
    typeof number === 'number' && row.unit !== undefined
      ? wholeMs(number, row.unit)
      : typeof number === 'string'
        ? parseDuration(number)
        : undefined
  if (ms !== undefined) return value(ms)
  const example = typeof row.default === 'string' ? row.default : formatDuration(5000)
  const bare = row.unit === undefined ? '' : `, or a bare number of ${row.unit === 's' ? 'seconds' : 'milliseconds'}`
  return wrong(`must be a duration such as "${example}" (units ms, s, m, h)${bare}`)
}

function list(written: unknown, context: ReadingContext, spaces: boolean): ReadValue {
  if (context.fromText && typeof written === 'string') {
    const words = written
      .split(spaces ? /[,\s]+/ : ',')
      .map((word) => word.trim())
      .filter((word) => word !== '')
    return words.length > 0 ? value(words) : wrong('is an empty list')
  }
  if (!Array.isArray(written)) return wrong(`must be a list of texts, such as ["one", "two"]`)
  const words: string[] = []
  for (const one of written) {
    if (typeof one !== 'string' || one === '') return wrong('must be a list of texts, none of them empty')
    if (!isReference(one)) words.push(one)
    else if (context.follow) {
      const resolved = resolveReference(one, context.env)
      if (resolved.file !== undefined) context.usesFile(resolved.file)
      if (resolved.kind === 'problem') return wrong(resolved.problem)
      words.push(resolved.text)
    }
  }
  return value(words)
}

function value(read: Value): ReadValue {
  return { kind: 'value', value: read }
}

function wrong(problem: string): ReadValue {
  return { kind: 'problem', problem }
}
