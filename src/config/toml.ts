/** Text to plain data, without a word of the TOML library's messages: they quote neighbouring lines, secrets included. */
import { parse } from '@iarna/toml'
import type { Report } from './report.ts'
import { placeOf, scanKeys } from './toml-keys.ts'

export type TomlTable = Readonly<Record<string, unknown>>

export interface TomlDocument {
  readonly root: TomlTable
  /** See `scanKeys`. */
  readonly lines: ReadonlyMap<string, number>
  readonly again: ReadonlyMap<string, number>
}

/** Parses; reports a syntax error with line and column from 1, and names that every object inherits. */
export function parseToml(source: string, report: Report): TomlDocument | undefined {
  const text = source.startsWith('\uFEFF') ? source.slice(1) : source
  const scanned = scanKeys(text)
  if (scanned.kind === 'reserved') {
    report.error(
      scanned.name,
      `\`${scanned.name}\` cannot be used as a key. Remove it or choose another name.`,
      scanned.place.line,
    )
    return undefined
  }
  if (scanned.kind === 'syntax') {
    reportSyntax(report, scanned.place.line, scanned.place.column, scanned.message)
    return undefined
  }
  try {
    return { root: parse(text), lines: scanned.lines, again: scanned.again }
  } catch (error) {
    const { line, column } = positionIn(error, text)
    reportSyntax(report, line, column, hintFor(error))
    return undefined
  }
}

function reportSyntax(report: Report, line: number, column: number, hint: string): void {
  report.error(
    '',
    `This is not TOML: syntax error at line ${line}, column ${column}: ${hint}. Mend or comment out that line.`,
    line,
  )
}

/** The library counts lines from 0; at a line end it already stands before the first column of the next line. */
function positionIn(error: unknown, text: string): { line: number; column: number } {
  if (error instanceof Error && 'line' in error && 'col' in error) {
    const { line, col } = error
    if (typeof line === 'number' && typeof col === 'number') {
      if (col > 0) return { line: line + 1, column: col }
      const ended = text.split('\n')[line - 1] ?? ''
      return { line: Math.max(line, 1), column: ended.length + 1 }
    }
  }
  return placeOf(text, text.length)
}

/** Our words for the kinds of message that hold no text of the file. */
function hintFor(error: unknown): string {
  const message = error instanceof Error ? error.message : ''
  if (message.startsWith("Can't redefine existing key")) return 'this key or table is written twice'
  if (message.startsWith('Inline lists must be a single type') || message.includes('Inline lists')) {
    return 'all values of a list must be of one kind'
  }
  return 'a key, a value or a bracket is not well formed'
}
