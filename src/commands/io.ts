/** What a command reads from and writes to: injected, so that tests need no process. */
import type { ProcessEvents } from '../server/lifecycle.ts'

export interface Io {
  readonly stdin: NodeJS.ReadableStream
  /** Standard output; the text brings its own line ends. */
  out(text: string): void
  /** Log lines of a service, which are rather dropped than waited for; undefined: as any other output. */
  readonly log?: (lines: string) => void
  /** How many of them were dropped since the start. */
  readonly logLinesLost?: () => number
  /** The process's signals, which end it no more from the first call on; undefined: as they are. */
  readonly signals?: () => ProcessEvents
  /** Standard error; the text brings its own line ends. */
  err(text: string): void
}
