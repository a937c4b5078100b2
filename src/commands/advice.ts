/** What is most likely wrong and what to change, in plain words, for the failures people meet most. Pure. */
import type { Introspected } from '../authz/ports.ts'
import type { KeyManagerConfig } from '../config/config.ts'
import { adviceFor } from '../keymanager/probe.ts'

const STALE_TOKEN =
  'the configured access token was used, not the refreshed one of a running sidecar, and has probably expired. Where no sidecar runs, add --use-refresh-token.'

/**
 * Lines for the end of `introspect`; none where there is nothing to change. `ownToken`: why there is none.
 * `isStale`: the configured access token was sent, where a sidecar would send a refreshed one.
 */
export function adviseOn(
  keyManager: KeyManagerConfig,
  received: Introspected | undefined,
  ownToken: string | undefined,
  isStale = false,
): readonly string[] {
  if (ownToken !== undefined) return [ownTokenAdvice(ownToken)]
  switch (received?.kind) {
    case undefined:
    case 'active':
    case 'overloaded':
    case 'abandoned':
      return []
    case 'malformed':
      return [`The endpoint answers, but not as RFC 7662 says (${received.detail}). Is introspectUrl right?`]
    case 'inactive':
      return inactiveAdvice(keyManager)
    case 'unavailable':
      if (isStale && received.cause === 'unauthorized') return [`${received.detail}: ${STALE_TOKEN}`]
      return [unavailableAdvice(keyManager, received)]
    default:
      return received satisfies never
  }
}

function ownTokenAdvice(why: string): string {
  const section = '[keymanager.security.oauth2]'
  if (why.includes('invalid_client') || why.includes('401 unauthorized_client'))
    return `The token endpoint does not know this client or its secret: check clientId and clientSecret in ${section}, and whether the server wants credentialBearer = "POST_BODY_BEARER".`
  if (why.includes('invalid_grant'))
    return `User name and password, or the refresh token, are not accepted: check them in ${section}.`
  if (why.includes('unauthorized_client') || why.includes('unsupported_grant_type'))
    return 'The server does not allow this grant to this client: enable it there, or use another grant.'
  if (why.includes('invalid_scope'))
    return `The server does not give these scopes to this client: check scopes in ${section}.`
  if (why.includes('certificate') || why.includes('TLS'))
    return 'The certificate of the token endpoint is not trusted: name its authority in keyManager.tls.caFile.'
  if (why.includes('token_endpoint')) return `${why[0]?.toUpperCase()}${why.slice(1)}.`
  return `There is no own token (${why}): check tokenUrl, and whether the server can be reached from here.`
}

function inactiveAdvice({ security }: KeyManagerConfig): readonly string[] {
  const who = security.kind === 'own_token' ? 'the client of the own token' : 'the configured client'
  return [
    'Inactive can mean four things. The token is expired, revoked, or was issued by another server.',
    `The token is not for ${who}: Keycloak and ZITADEL say inactive where the client is not in its audience (aud).`,
    'keyManager.tokenTypeHint, where it is set, is of the wrong kind.',
    'Or the client credentials are wrong: some servers (authentik) answer 200 active:false to those. Look in the log of the key manager.',
  ]
}

function unavailableAdvice(
  keyManager: KeyManagerConfig,
  outcome: Extract<Introspected, { kind: 'unavailable' }>,
): string {
  switch (outcome.cause) {
    case 'unauthorized':
      return `${adviceFor(outcome, keyManager.security)}. The client may also be known, but not allowed to introspect: give it that right at the key manager.`
    case 'tls':
      return `${outcome.detail}. Name the authority of the key manager in keyManager.tls.caFile; never switch verification off.`
    case 'timeout':
    case 'network':
      return `${outcome.detail}. Can the key manager be reached from here? Check introspectUrl or serverUrl, proxy and network policy.`
    case 'client_error':
      return `${outcome.detail}. The path is the likeliest mistake: check serverUrl, tokenContext or introspectUrl.`
    case 'throttled':
    case 'server_error':
    case 'rejected':
      return outcome.detail
    default:
      return outcome.cause satisfies never
  }
}
