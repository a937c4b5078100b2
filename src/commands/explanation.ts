/** One introspection and its decision in words. Pure; tokens and secrets are masked. */
import { writtenMembersOf } from '../authz/introspection.ts'
import type { Decision, Introspected } from '../authz/ports.ts'
import type { ClientSecurity, KeyManagerConfig, OwnTokenConfig } from '../config/config.ts'
import { shownUrl } from '../config/url.ts'
import type { OwnTokenStatus, Taken } from '../keymanager/own-token.ts'

export interface Received {
  readonly outcome: Introspected
  readonly tookMs: number
}

/** How the own token came about: client, grant, endpoint, what was answered. */
export function describeOwnToken(
  config: OwnTokenConfig,
  taken: Taken,
  status: OwnTokenStatus | undefined,
  nowMs: number,
): string {
  const endpoint = config.grant === 'direct' ? config.refresh : config.endpoint
  const [client] = endpoint?.clients ?? []
  const lines = [
    '0. Own token',
    `grant: ${config.grant}${endpoint === undefined ? '' : ` at ${endpoint.url === undefined ? 'the discovered token_endpoint' : shownUrl(endpoint.url)}`}`,
  ]
  if (client !== undefined) lines.push(`client authentication: ${describeSecurity(client)}`)
  if (endpoint !== undefined && endpoint.scope !== '') lines.push(`scope: ${endpoint.scope}`)
  if (taken.kind === 'unavailable') lines.push(`answer: ${status?.lastError ?? taken.detail}`)
  else {
    const leftSec = Math.round((taken.token.expiresAtMs - nowMs) / 1_000)
    const life = Number.isFinite(leftSec) ? `good for ${leftSec} s` : 'its life is not known here'
    lines.push(`${config.grant === 'direct' ? 'configured' : 'granted'}: an access token [masked], ${life}`)
  }
  return `${lines.join('\n   ')}\n`
}

/** The request as `keymanager/introspector.ts` writes it, secrets left out. */
export function describeSent(keyManager: KeyManagerConfig, token: string): string {
  const { security } = keyManager
  const form = [`token=[${token.length} characters]`]
  if (keyManager.tokenTypeHint !== undefined) form.push(`token_type_hint=${keyManager.tokenTypeHint}`)
  if (security.kind === 'basic' && security.method === 'post') {
    form.push(`client_id=${security.username}`, 'client_secret=[masked]')
  }
  return `1. Sent
   POST ${shownUrl(keyManager.introspectUrl ?? '') || `the introspection_endpoint of ${shownUrl(keyManager.discoveryUrl ?? '')}`}
   authentication: ${describeSecurity(security)}
   form: ${form.join('&')}
`
}

function describeSecurity(security: ClientSecurity): string {
  switch (security.kind) {
    case 'none':
      return 'none'
    case 'basic':
      return security.method === 'post'
        ? 'client_id and client_secret in the body'
        : `Basic, user ${security.username}, password [masked], encoding ${security.encoding}`
    case 'private_key_jwt':
    case 'client_secret_jwt':
      return `${security.kind}, client ${security.clientId}, ${security.alg}, key [masked]`
    case 'tls_client_auth':
      return `tls_client_auth, client ${security.clientId}, the certificate of keyManager.tls`
    case 'own_token':
      return 'Bearer [own token, masked]'
    default:
      return security satisfies never
  }
}

/** Why no call was made; undefined: one was. */
export function whyNotSent({ outcome }: Received): string | undefined {
  if (outcome.kind === 'overloaded' || outcome.kind === 'abandoned') return outcome.kind
  return outcome.kind === 'unavailable' && outcome.cause === 'rejected' ? outcome.detail : undefined
}

/** The answer's members as they came, the token itself masked where a server echoes it. */
export function describeReceived({ outcome, tookMs }: Received, token: string): string {
  return `2. Came back after ${tookMs.toFixed(0)} ms
   ${describeOutcome(outcome).replaceAll(token, '[token]').replaceAll('\n', '\n   ')}
`
}

function describeOutcome(outcome: Introspected): string {
  switch (outcome.kind) {
    case 'active':
      return `active\n${JSON.stringify(writtenMembersOf(outcome.claims), undefined, 2)}`
    case 'inactive':
      return 'inactive: the key manager does not know this token, or it is expired, revoked, or not for this client'
    case 'malformed':
      return `malformed: ${outcome.detail}`
    case 'unavailable':
      return `no answer (${outcome.cause}): ${outcome.detail}`
    case 'overloaded':
    case 'abandoned':
      return `${outcome.kind}: no call was made`
    default:
      return outcome satisfies never
  }
}

export function describeDecision(decision: Decision): string {
  const lines = [`3. Decision\n   ${decision.allow ? 'ALLOW' : 'DENY'}: ${decision.reason}`]
  if (decision.allow) {
    if (decision.reason === 'allowed') {
      lines.push(`good for ${decision.maxAgeSeconds} s in the cache`)
      if (decision.wouldDeny !== undefined) lines.push(`a rule with enforce = false would deny: ${decision.wouldDeny}`)
    }
  } else {
    if (decision.scope !== '') lines.push(`scopes asked for: ${decision.scope}`)
    if (decision.retryAfterSeconds > 0) lines.push(`Retry-After: ${decision.retryAfterSeconds}`)
    if (decision.detail !== '') lines.push(decision.detail)
  }
  return `${lines.join('\n   ')}\n`
}
