/** What a command reads from and writes to: injected, so that tests need no process. */
export interface Io {
  readonly stdin: NodeJS.ReadableStream
  /** Standard output; the text brings its own line ends. */
  out(text: string): void
  /** Standard error; the text brings its own line ends. */
  err(text: string): void
}
