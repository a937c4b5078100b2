/** Answers as plain values: what a reader sees of them, member by member. */
import type { Answer } from '../../src/authz/ports.ts'

export function contentOf(answer: Answer | undefined): unknown {
  if (answer === undefined || !answer.active) return answer === undefined ? undefined : { ...answer }
  const { claims, storedAtMs, lifeMs } = answer
  return {
    active: true,
    storedAtMs,
    lifeMs,
    claims: {
      sub: claims.sub,
      username: claims.username,
      clientId: claims.clientId,
      iss: claims.iss,
      audience: claims.audience,
      scopes: claims.scopes,
      tokenType: claims.tokenType,
      expSec: claims.expSec,
      nbfSec: claims.nbfSec,
      isAccessToken: claims.isAccessToken,
      isBound: claims.isBound,
      json: claims.json,
    },
  }
}
