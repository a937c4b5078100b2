/**
 * What PEM text holds, judged before it is put in force. OpenSSL skips an authority it cannot read and all behind it,
 * and takes a key of another kind than the certificate's: neither shows before the first handshake fails.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'

/** RFC 7468 section 5.1, and OpenSSL's two other names. */
const CERTIFICATE = /^(?:X509 |TRUSTED )?CERTIFICATE$/

/** Why not every certificate of `pem` can be used, as the rest of a sentence; undefined: all of them can. One at least is asked for. */
export function certificatesProblem(pem: string): string | undefined {
  const blocks = blocksOf(pem)
  const unnamed = blocks.find(({ label }) => label === undefined)
  if (unnamed !== undefined) return `has something other than PEM behind the "-----BEGIN" of line ${unnamed.line}`
  const certificates = blocks.filter(({ label }) => CERTIFICATE.test(label ?? ''))
  if (certificates.length === 0) return 'holds no certificate (no "-----BEGIN CERTIFICATE-----")'
  const broken = certificates.findIndex(({ text }) => text === undefined || certificateOf(text) === undefined)
  if (broken < 0) return undefined
  return `has a certificate that cannot be read (${broken + 1} of ${certificates.length}, line ${certificates[broken]?.line})`
}

/** Why the private key of `pem` cannot be used, as the rest of a sentence; nothing of its content. */
export function keyProblem(pem: string): string | undefined {
  if (privateKeyOf(pem) !== undefined) return undefined
  return /ENCRYPTED/.test(pem)
    ? 'holds a key with a passphrase, which nobody can type here. Write it without: `openssl pkey -in KEY -out PLAIN`'
    : 'holds no private key that can be read'
}

/** Why TLS cannot use these two together, as a sentence of its own; each has passed the functions above. */
export function pairProblem(certificate: string, key: string): string | undefined {
  const privateKey = privateKeyOf(key)
  // The first certificate of a chain is the one presented.
  const first = certificateOf(certificate)
  if (privateKey === undefined || first?.checkPrivateKey(privateKey) !== true)
    return 'the key is not that of the (first) certificate'
  try {
    createSecureContext({ cert: certificate, key })
    return undefined
  } catch (error) {
    // Only OpenSSL's name for it: its text may quote.
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    return `TLS refuses them (${/^[A-Z0-9_]{1,80}$/.test(code) ? code : 'unknown'})`
  }
}

interface Block {
  /** What stands in the BEGIN line; undefined where that line is none. */
  readonly label: string | undefined
  /** From 1. */
  readonly line: number
  /** Undefined where its END is missing. */
  readonly text: string | undefined
}

function blocksOf(pem: string): readonly Block[] {
  const lines = pem.split('\n')
  const begun = lines.flatMap((line, index) => (line.startsWith('-----BEGIN ') ? [index] : []))
  return begun.map((from, index) => {
    const label = /^-----BEGIN ([A-Z0-9 ]+)-----\s*$/.exec(lines[from] ?? '')?.[1]
    const until = begun[index + 1] ?? lines.length
    const end = lines.findIndex((line, at) => at > from && at < until && line.trimEnd() === `-----END ${label}-----`)
    return { label, line: from + 1, text: end < 0 ? undefined : lines.slice(from, end + 1).join('\n') }
  })
}

function certificateOf(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem)
  } catch {
    return undefined
  }
}

function privateKeyOf(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem)
  } catch {
    return undefined
  }
}
