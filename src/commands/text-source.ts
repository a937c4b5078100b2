/** Text that must not stand in the process list: from standard input or a file. */
import { readFile } from 'node:fs/promises'

const LONGEST_TEXT_BYTES = 1024 * 1024

/** Undefined where the file cannot be read. */
export async function readTextFile(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    return undefined
  }
}

/** All of it, up to 1 MiB. */
export async function readAll(stdin: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk)
    length += bytes.length
    if (length > LONGEST_TEXT_BYTES) break
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString('utf8')
}
