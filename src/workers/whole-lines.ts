/** One log out of several: a line reaches it whole or not at all. */
import type { Readable } from 'node:stream'

/** `write` gets whole lines, line feeds included, whatever pieces the stream comes in. */
export function forwardLines(stream: Readable, write: (lines: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8').on('data', (text: string) => {
    const lines = rest + text
    const end = lines.lastIndexOf('\n') + 1
    rest = lines.slice(end)
    if (end > 0) write(lines.slice(0, end))
  })
  // A process that was killed may leave half a line.
  stream.once('end', () => {
    if (rest !== '') write(`${rest}\n`)
  })
}
