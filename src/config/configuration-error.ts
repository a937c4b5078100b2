/** What stops a start or a reload, in our own words: every problem at once, safe to print. */
import type { Problem } from './config.ts'

export class ConfigurationError extends Error {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(problems.map(({ key, message }) => `${key}: ${message}`).join('; '))
    this.name = 'ConfigurationError'
    this.problems = problems
  }

  /** One problem of one key that only shows when its value is put to use. */
  static of(key: string, message: string): ConfigurationError {
    return new ConfigurationError([{ severity: 'error', key, line: undefined, message }])
  }
}
