/** The structured log: one JSON object a line. The only file that knows pino. */
import { pino } from 'pino'
import type { Clock, Log } from '../authz/ports.ts'
import { visibleJson } from './visible-json.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface LeveledLog extends Log {
  /** Takes effect with the next line. */
  setLevel(level: LogLevel): void
}

/**
 * Lines hold `level`, `time` (RFC 3339, UTC, by the wall clock), `event`, and the fields given.
 * `write` gets each line with its line feed, its invisible characters escaped. Fields must already be safe: nothing is redacted here.
 */
export function createLog(options: {
  readonly level: LogLevel
  readonly write: (line: string) => void
  readonly clock: Clock
  /** In every line. */
  readonly fields?: Readonly<Record<string, unknown>>
}): LeveledLog {
  const { clock, write } = options
  const logger = pino(
    {
      level: options.level,
      base: options.fields ?? null,
      messageKey: 'event',
      // An error object handed in by mistake must not unfold its stack and foreign members.
      serializers: { err: () => '[error]', error: (value: unknown) => (value instanceof Error ? '[error]' : value) },
      timestamp: () => `,"time":"${new Date(clock.wallMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => write(visibleJson(line)) },
  )
  return {
    debug: (event, fields) => logger.debug(fields ?? {}, event),
    info: (event, fields) => logger.info(fields ?? {}, event),
    warn: (event, fields) => logger.warn(fields ?? {}, event),
    error: (event, fields) => logger.error(fields ?? {}, event),
    setLevel(level) {
      logger.level = level
    },
  }
}
