/** Collects everything wrong with, or worth saying about, a configuration. */
import type { Problem } from './config.ts'

/** Where a key's value comes from. */
export interface KeyPlace {
  /** Of the file, from 1; undefined where it does not come from there. */
  readonly line: number | undefined
  /** The variable or flag it comes from, as words; undefined for the file. */
  readonly origin: string | undefined
}

export interface Report {
  /** `line` is from 1; where it is not given, the place of the key is looked up. */
  error(key: string, message: string, line?: number): void
  warning(key: string, message: string, line?: number): void
  notice(key: string, message: string, line?: number): void
  /** Tells where keys are written, once that is known. */
  locate(placeOf: (key: string) => KeyPlace): void
  readonly failed: boolean
  /** Errors first, then warnings, then notices; each in the order of lines. */
  problems(): readonly Problem[]
}

const ORDER = { error: 0, warning: 1, notice: 2 } as const

/** Keys of the file may be quoted, with line ends and escape sequences in them: none forges a line on a terminal. */
function onOneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, '?')
}

/** An empty report. The same problem reported twice is kept once. */
export function createReport(): Report {
  const found: Problem[] = []
  const known = new Set<string>()
  let placeOf: (key: string) => KeyPlace = () => ({ line: undefined, origin: undefined })
  const add = (severity: Problem['severity'], key: string, message: string, line: number | undefined): void => {
    const place = placeOf(key)
    const text =
      place.origin === undefined || message.includes(place.origin)
        ? message
        : `${message} (It is set by ${place.origin}.)`
    const problem = { severity, key: onOneLine(key), line: line ?? place.line, message: onOneLine(text) }
    const identity = JSON.stringify([severity, problem.key, problem.message])
    if (known.has(identity)) return
    known.add(identity)
    found.push(Object.freeze(problem))
  }
  return {
    error: (key, message, line) => add('error', key, message, line),
    warning: (key, message, line) => add('warning', key, message, line),
    notice: (key, message, line) => add('notice', key, message, line),
    locate(locator) {
      placeOf = locator
    },
    get failed() {
      return found.some((one) => one.severity === 'error')
    },
    problems: () =>
      Object.freeze(
        found.toSorted((a, b) => ORDER[a.severity] - ORDER[b.severity] || (a.line ?? 1e9) - (b.line ?? 1e9)),
      ),
  }
}
