/** RFC 7523 section 2.2: a JWT that authenticates the client, a new one for each request. jose is loaded at the first. */
import { createPrivateKey, randomUUID } from 'node:crypto'
import type { ClientMethod } from '../config/config.ts'

/** Long enough for a clock that is a little off, short enough to be worth nothing soon. */
const LIFE_SEC = 60

/** Signs an assertion for one call of `url`. Rejects where the key cannot sign. */
export function createAssertion(
  method: Extract<ClientMethod, { kind: 'private_key_jwt' | 'client_secret_jwt' }>,
  nowWallMs: () => number,
): (url: string) => Promise<string> {
  const { clientId, alg, keyId, audience } = method
  const key =
    method.kind === 'private_key_jwt'
      ? createPrivateKey(method.key.reveal())
      : new TextEncoder().encode(method.key.reveal())
  return async (url) => {
    const { SignJWT } = await import('jose')
    const issuedAt = Math.floor(nowWallMs() / 1_000)
    return new SignJWT()
      .setProtectedHeader({ alg, ...(keyId === undefined ? {} : { kid: keyId }) })
      .setIssuer(clientId)
      .setSubject(clientId)
      .setAudience(audience ?? url)
      .setJti(randomUUID())
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + LIFE_SEC)
      .sign(key)
  }
}
