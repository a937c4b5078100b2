/** A command's input and output, held in memory. */
import { Readable } from 'node:stream'
import type { Io } from '../../src/commands/io.ts'

export function captureIo(stdin = ''): Io & { readonly output: () => string; readonly errors: () => string } {
  let output = ''
  let errors = ''
  return {
    stdin: Readable.from([Buffer.from(stdin)]),
    out: (text) => {
      output += text
    },
    err: (text) => {
      errors += text
    },
    output: () => output,
    errors: () => errors,
  }
}
