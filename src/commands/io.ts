/** What a command reads from and writes to: injected, so that tests need no process. */
export interface Io {
  readonly stdin: NodeJS.ReadableStream
  /** Standard output; the text brings its own line ends. */
  out(text: string): void
  /** Log lines of a service, which are rather dropped than waited for; undefined: as any other output. */
  readonly log?: (lines: string) => void
  /** Standard error; the text brings its own line ends. */
  err(text: string): void
}
