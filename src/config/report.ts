/** Collects everything wrong with, or worth saying about, a configuration. */
import type { Problem } from './config.ts'

export interface Report {
  /** `line` is from 1; where it is not given, `lineOf` may know it. */
  error(key: string, message: string, line?: number): void
  warning(key: string, message: string, line?: number): void
  notice(key: string, message: string, line?: number): void
  /** Tells where keys are written, once that is known. */
  locate(lineOf: (key: string) => number | undefined): void
  readonly failed: boolean
  /** Errors first, then warnings, then notices; each in the order of lines. */
  problems(): readonly Problem[]
}

const ORDER = { error: 0, warning: 1, notice: 2 } as const

/** An empty report. The same problem reported twice is kept once. */
export function createReport(): Report {
  const found: Problem[] = []
  let lineOf: (key: string) => number | undefined = () => undefined
  const add = (severity: Problem['severity'], key: string, message: string, line: number | undefined): void => {
    if (found.some((one) => one.key === key && one.message === message && one.severity === severity)) return
    found.push(Object.freeze({ severity, key, line: line ?? lineOf(key), message }))
  }
  return {
    error: (key, message, line) => add('error', key, message, line),
    warning: (key, message, line) => add('warning', key, message, line),
    notice: (key, message, line) => add('notice', key, message, line),
    locate(locator) {
      lineOf = locator
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
