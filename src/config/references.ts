/** `@env:{NAME}`, `@file:{path}` and `@encrypted:{base64}`: values that stand elsewhere. */
import { createDecipheriv, hash } from 'node:crypto'
import { readFileSync } from 'node:fs'

export type Environment = Readonly<Record<string, string | undefined>>

/** The text, or what is wrong with the reference; never the secret in `problem`. */
export type Resolved =
  | { readonly kind: 'text'; readonly text: string; readonly file: string | undefined }
  | { readonly kind: 'problem'; readonly problem: string; readonly file: string | undefined }

const REFERENCE = /^@(env|file|encrypted):\{(.*)\}$/s
const SECRET_VARIABLE = 'MICRO_GW_AUTHZ_CIPHER_SECRET'

/** Whether a text is meant as a reference, well formed or not. */
export function isReference(text: string): boolean {
  return /^@(env|file|encrypted):/.test(text)
}

/** How a text begins that was most likely meant as a reference and is read as none, such as `@ENV:{X}` or `@env{X}`; else undefined. */
export function misspeltReference(text: string): string | undefined {
  return isReference(text) ? undefined : /^\s*(@(?:env|file|encrypted))/i.exec(text)?.[1]?.toLowerCase()
}

/** Resolves a reference; an empty outcome is a problem, because it would silently remove what was asked for. */
export function resolveReference(reference: string, env: Environment): Resolved {
  const match = REFERENCE.exec(reference)
  const [, kind, target] = match ?? []
  if (kind === undefined || target === undefined || target === '') {
    return problem('is not a well-formed reference. Write "@env:{NAME}", "@file:{/path}" or "@encrypted:{base64}"')
  }
  if (kind === 'env') {
    const value = Object.hasOwn(env, target) ? env[target] : undefined
    if (value === undefined || value === '')
      return problem(`refers to the environment variable ${printable(target)}, which is not set`)
    return { kind: 'text', text: value, file: undefined }
  }
  return kind === 'file' ? readSecretFile(target) : decrypt(target, env)
}

/** Content of a file as strict UTF-8, one trailing newline dropped. */
export function readSecretFile(path: string): Resolved {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (error) {
    return problem(`refers to the file ${printable(path)}, which ${readingProblem(error)}`, path)
  }
  const text = decodeUtf8(bytes)?.replace(/\r?\n$/, '')
  if (text === undefined) return problem(`refers to the file ${printable(path)}, which is not UTF-8 text`, path)
  if (text === '') return problem(`refers to the file ${printable(path)}, which is empty`, path)
  return { kind: 'text', text, file: path }
}

/** Why a file cannot be read, as the rest of a sentence; never the system's own text. */
export function readingProblem(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'does not exist'
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read by this user'
  if (code === 'EISDIR') return 'is a directory'
  return 'cannot be read'
}

/** Strict: undefined where the bytes are not UTF-8. A byte-order mark stays. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** The secret of `@encrypted:`, from its variable or the file that one names. */
export function cipherSecret(env: Environment): Resolved {
  const direct = env[SECRET_VARIABLE] ?? ''
  const file = env[`${SECRET_VARIABLE}_FILE`] ?? ''
  if (direct !== '' && file !== '')
    return problem(`needs one secret, but both ${SECRET_VARIABLE} and ${SECRET_VARIABLE}_FILE are set`)
  if (direct !== '') return { kind: 'text', text: direct, file: undefined }
  if (file === '')
    return problem(`needs the secret it was encrypted with: set ${SECRET_VARIABLE} or ${SECRET_VARIABLE}_FILE`)
  const read = readSecretFile(file)
  if (read.kind === 'text') return read
  return problem(`needs the secret it was encrypted with, but ${SECRET_VARIABLE}_FILE ${read.problem}`, read.file)
}

/** AES-128-CBC of WSO2: key = first 16 bytes of SHA-256(secret), the blob begins with the IV. */
export function cipherKey(secret: string): Buffer {
  return hash('sha256', secret, 'buffer').subarray(0, 16)
}

function decrypt(blob: string, env: Environment): Resolved {
  const secret = cipherSecret(env)
  if (secret.kind === 'problem') return secret
  const bytes = Buffer.from(blob, 'base64')
  const canonical =
    /^[A-Za-z0-9+/]+={0,2}$/.test(blob) && bytes.toString('base64').replace(/=+$/, '') === blob.replace(/=+$/, '')
  if (!canonical || bytes.length < 32 || bytes.length % 16 !== 0) {
    return problem(
      'holds an @encrypted: value that is cut or not base64. Encrypt it again with `micro-gw-authz encrypt`',
      secret.file,
    )
  }
  const wrong = 'cannot be decrypted with this secret. Check the secret, or encrypt again with `micro-gw-authz encrypt`'
  try {
    const decipher = createDecipheriv('aes-128-cbc', cipherKey(secret.text), bytes.subarray(0, 16))
    // There is no MAC: a wrong secret is noticed by its padding or by what is no UTF-8.
    const text = decodeUtf8(Buffer.concat([decipher.update(bytes.subarray(16)), decipher.final()]))
    if (text === undefined) return problem(wrong, secret.file)
    if (text === '') return problem('is an encrypted empty text', secret.file)
    return { kind: 'text', text, file: secret.file }
  } catch {
    return problem(wrong, secret.file)
  }
}

function problem(text: string, file?: string): Resolved {
  return { kind: 'problem', problem: text, file }
}

/** A name for a message: no control characters, cut to 200 characters. */
export function printable(name: string): string {
  return name.replace(/[^\x20-\x7e]/g, '?').slice(0, 200)
}
