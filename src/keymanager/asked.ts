/** How a key manager is asked, to tell whether what is known of it outlives a reload. */
import { hash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { KeyManagerConfig } from '../config/config.ts'
import { Secret } from '../config/secret.ts'
import type { TlsOptions } from '../net/tls.ts'

export interface Asked {
  readonly config: KeyManagerConfig
  readonly tls: TlsOptions
  readonly secrets: string
}

/** `isDeepStrictEqual` takes any two secrets for equal. */
export function digestOfSecrets(config: KeyManagerConfig): string {
  const revealed = JSON.stringify(config, function (this: Readonly<Record<string, unknown>>, key, shown) {
    const member = this[key]
    // Before `toJSON`, which hides it.
    return member instanceof Secret ? member.reveal() : shown
  })
  return hash('sha256', revealed)
}

/** Whether metadata that did for the one does for the other: read over a connection as trustworthy, for the same use. */
export function isReadAlike(one: Omit<Asked, 'secrets'>, other: Omit<Asked, 'secrets'>): boolean {
  const use = ({ config, tls }: Omit<Asked, 'secrets'>) => [
    tls,
    config.discoveryUrl,
    config.proxy,
    config.allowInsecure,
    mutualTlsAt(config),
    config.introspectUrl === undefined,
  ]
  return isDeepStrictEqual(use(one), use(other))
}

/** Where a certificate authenticates us. */
export function mutualTlsAt({ security }: KeyManagerConfig): 'introspection' | 'token' | undefined {
  if (security.kind !== 'own_token') return security.kind === 'tls_client_auth' ? 'introspection' : undefined
  const own = security.ownToken
  const endpoint = own.grant === 'direct' ? own.refresh : own.endpoint
  return endpoint?.clients.some((client) => client.kind === 'tls_client_auth') ? 'token' : undefined
}
