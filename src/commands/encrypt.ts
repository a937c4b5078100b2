/** `encrypt`: a plain text from standard input becomes an `@encrypted:` value. */
import { createCipheriv, randomBytes } from 'node:crypto'
import { cipherKey, cipherSecret, decodeUtf8, type Environment } from '../config/references.ts'
import type { Io } from './io.ts'

export const ENCRYPT_HELP = `Usage: micro-gw-authz encrypt < plain.txt

Reads a text from standard input (one trailing line end is dropped) and prints an "@encrypted:{...}" value for
micro-gw.conf, readable by WSO2 too. The secret comes from MICRO_GW_AUTHZ_CIPHER_SECRET, or from the file that
MICRO_GW_AUTHZ_CIPHER_SECRET_FILE names. The value is not authenticated: it hides a password, it does not protect it
from being changed.

Exit status: 0 printed, 1 no secret or no text, 2 wrong usage.
`

const LONGEST_INPUT_BYTES = 65_536

/** Exit status 0: printed; 1: no secret or no text; 2: wrong usage. The text is never an argument: those show in `ps`. */
export async function runEncrypt(args: readonly string[], env: Environment, io: Io): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    io.out(ENCRYPT_HELP)
    return 0
  }
  if (args.length > 0) {
    io.err(ENCRYPT_HELP)
    return 2
  }
  const secret = cipherSecret(env)
  if (secret.kind === 'problem') {
    io.err(`encrypt ${secret.problem}.\n`)
    return 1
  }
  const text = await readAll(io.stdin)
  if (text === undefined || text === '') {
    io.err('Give the text to encrypt on standard input: UTF-8, not empty, at most 64 KiB.\n')
    return 1
  }
  io.out(`@encrypted:{${encrypt(text, secret.text)}}\n`)
  return 0
}

/** WSO2's form: base64 of a random IV and AES-128-CBC with PKCS#7 padding. */
export function encrypt(text: string, secret: string): string {
  const iv = randomBytes(16)
  const cipher = createCipheriv('aes-128-cbc', cipherKey(secret), iv)
  return Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final()]).toString('base64')
}

async function readAll(stdin: NodeJS.ReadableStream): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk)
    size += bytes.length
    if (size > LONGEST_INPUT_BYTES) return undefined
    chunks.push(bytes)
  }
  return decodeUtf8(Buffer.concat(chunks))?.replace(/\r?\n$/, '')
}
