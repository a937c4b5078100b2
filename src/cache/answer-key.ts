/** The store key of product 2.4: SHA-256 over a fixed-length prefix and the token. No token is ever stored. */
import { hash } from 'node:crypto'

export interface KeyParts {
  readonly keyManager: string
  readonly introspectUrl: string
  /** Client id, else the basic user name, else ''. RFC 7662 section 2.2: an answer is only good for who asked. */
  readonly clientIdentity: string
}

/** Lower-case hex, 64 characters. The parts are length-prefixed, so that no two configurations share a prefix. */
export function createAnswerKey(parts: KeyParts): (token: string) => string {
  const text = [parts.keyManager, parts.introspectUrl, parts.clientIdentity]
    .map((part) => `${Buffer.byteLength(part)}:${part}`)
    .join('')
  const prefix = hash('sha256', text, 'hex')
  return (token) => hash('sha256', prefix + token, 'hex')
}
