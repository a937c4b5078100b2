/** Everything that talks to one key manager, put together: discovery, own token, introspection. */
import { hash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Clock, IntrospectionMetrics, Log, OwnTokenMetrics } from '../authz/ports.ts'
import type { ClientMethod, KeyManagerConfig, OwnTokenConfig } from '../config/config.ts'
import { ConfigurationError } from '../config/configuration-error.ts'
import { readTlsOptions, type TlsOptions } from '../net/tls.ts'
import { type Asked, digestOfSecrets, isReadAlike, mutualTlsAt } from './asked.ts'
import { type CallGate, createCallGate } from './call-gate.ts'
import { createDiscovery, type Endpoints } from './discovery.ts'
import { createExpiryGauge, type ExpiryGauge, NOT_SHOWN } from './expiry-gauge.ts'
import { createGrants } from './grants.ts'
import { createIntrospector, type KeyManagerClient, type KeyManagerStatus } from './introspector.ts'
import { createOwnToken, type Held, type OwnToken, type OwnTokenStatus } from './own-token.ts'
import { createRefreshState } from './refresh-state.ts'

export interface KeyManager extends Omit<KeyManagerClient, 'status' | 'close'> {
  status(): KeyManagerStatus & { readonly ownToken: OwnTokenStatus | undefined; readonly discovery: string | undefined }
  /** For the next configuration: the own token outlives a reload that keeps its grant. */
  readonly ownToken: OwnTokenOfGrant | undefined
  /**
   * Called once its configuration is in force: metrics show its state and no more that of the one before, the own token it
   * took over uses its secrets, files and addresses.
   */
  takeOver(before?: KeyManager): void
  /** Connections close behind the calls under way; what `successor` took over stays. */
  close(successor?: KeyManager): Promise<void>
  /** For the next configuration: what is known of the key manager outlives a reload that asks the same one. */
  readonly known: Known
}

interface Known {
  /** By what, certificates and secrets among it. */
  readonly asked: Asked
  readonly gate: CallGate
  /** Discovered. */
  readonly endpoints: () => Endpoints | undefined
}

interface OwnTokenOfGrant {
  readonly grant: object
  readonly token: OwnToken
  readonly expiry: ExpiryGauge
}

/** An own token and what is left to do once this configuration is in force. */
interface HeldOwnToken {
  readonly own: OwnTokenOfGrant
  readonly takeOver: () => void
}

export interface KeyManagerDependencies {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: IntrospectionMetrics & OwnTokenMetrics
  /** From 0 to 1; default Math.random. */
  readonly random?: () => number
  /** Default: read from the files of `keyManager.tls`. */
  readonly tls?: TlsOptions
  /** In place of one held here: another process obtains and renews it. */
  readonly ownToken?: OwnToken | undefined
  /** Told what is held here from now on: undefined where it was refused. */
  readonly ownTokenChanged?: (held: Held | undefined) => void
}

/** Reads the files of `keyManager.tls`. Throws ConfigurationError naming the key of one that cannot be read. */
export function readKeyManagerTls({ tls }: KeyManagerConfig): TlsOptions {
  try {
    return readTlsOptions(tls)
  } catch (error) {
    // In our own words: they name the key, never the content.
    throw ConfigurationError.of('keyManager.tls', error instanceof Error ? error.message : 'cannot be used')
  }
}

/** Throws as `readKeyManagerTls`. `before`: whom it replaces, on a reload. */
export function createKeyManager(
  config: KeyManagerConfig,
  dependencies: KeyManagerDependencies,
  before?: KeyManager,
): KeyManager {
  const { clock, log, metrics } = dependencies
  const { security, proxy } = config
  const tls = dependencies.tls ?? readKeyManagerTls(config)
  const discovery =
    config.discoveryUrl === undefined
      ? undefined
      : createDiscovery({
          url: config.discoveryUrl,
          allowInsecure: config.allowInsecure,
          mutualTls: mutualTlsAt(config),
          introspectionNeeded: config.introspectUrl === undefined,
          known:
            before !== undefined && isReadAlike(before.known.asked, { config, tls })
              ? before.known.endpoints()
              : undefined,
          tls,
          proxy,
          clock,
          log,
        })
  const discovered = async (): Promise<string | undefined> => (await discovery?.endpoints())?.token
  const held =
    security.kind !== 'own_token'
      ? undefined
      : dependencies.ownToken !== undefined
        ? { own: { grant: {}, token: dependencies.ownToken, expiry: NOT_SHOWN }, takeOver: () => undefined }
        : holdOwnToken(security.ownToken, { clock, tls, proxy, discovered }, dependencies, before)
  const ownToken = held?.own
  const asked: Asked = { config, tls, secrets: digestOfSecrets(config) }
  const gate =
    before !== undefined && isDeepStrictEqual(before.known.asked, asked)
      ? before.known.gate
      : createCallGate(config, dependencies)
  const introspector = createIntrospector(config, {
    ...dependencies,
    tls,
    gate,
    ownToken: ownToken?.token,
    endpoints: discovery === undefined ? undefined : () => discovery.endpoints(),
  })
  return {
    introspect: introspector.introspect,
    probe: introspector.probe,
    ownToken,
    takeOver(replaced) {
      if (replaced !== undefined && replaced.known.gate !== gate) replaced.known.gate.close()
      if (replaced?.ownToken !== ownToken) replaced?.ownToken?.expiry.setInForce(false)
      gate.takeOver()
      if (held === undefined) metrics.ownTokenExpiresAt(undefined)
      else held.takeOver()
    },
    status: () => ({
      ...introspector.status(),
      ownToken: ownToken?.token.status(),
      discovery: discovery?.lastError(),
    }),
    known: { asked, gate, endpoints: () => discovery?.known() },
    async close(successor) {
      discovery?.close()
      if (successor?.ownToken !== ownToken) ownToken?.token.close()
      await introspector.close()
    },
  }
}

/** Part of the store key: who asks (product section 3). Never the current own token. */
export function clientIdentity({ security }: Pick<KeyManagerConfig, 'security'>): string {
  if (security.kind !== 'own_token') return clientIdOf(security)
  const own = security.ownToken
  const endpoint = own.grant === 'direct' ? own.refresh : own.endpoint
  const [client] = endpoint?.clients ?? []
  const id = client === undefined ? '' : clientIdOf(client)
  if (id !== '' || own.grant !== 'direct') return id
  return hash('sha256', (own.accessToken ?? own.refresh?.refreshToken)?.reveal() ?? '', 'hex')
}

function clientIdOf(method: ClientMethod): string {
  switch (method.kind) {
    case 'none':
      return ''
    case 'basic':
      return method.username
    case 'private_key_jwt':
    case 'client_secret_jwt':
    case 'tls_client_auth':
      return method.clientId
    default:
      return method satisfies never
  }
}

function holdOwnToken(
  config: OwnTokenConfig,
  transport: Parameters<typeof createGrants>[1],
  { clock, log, metrics, random = Math.random, ownTokenChanged }: KeyManagerDependencies,
  before: KeyManager | undefined,
): HeldOwnToken {
  const grants = createGrants(config, transport)
  const grant = grantIdentity(config)
  const refresh = config.grant === 'client_credentials' ? undefined : config.refresh
  const refreshToken = refresh?.refreshToken?.reveal()
  const saved =
    refresh?.stateFile === undefined ? undefined : createRefreshState(refresh.stateFile, originOf(config), log)
  if (before?.ownToken !== undefined && isDeepStrictEqual(before.ownToken.grant, grant)) {
    const own = before.ownToken
    return { own, takeOver: () => own.token.use(grants, saved) }
  }
  const expiry = createExpiryGauge(metrics)
  const token = createOwnToken({
    clock,
    log,
    metrics: { ownTokenRenewal: metrics.ownTokenRenewal, ownTokenExpiresAt: expiry.show },
    grants,
    directToken: config.grant === 'direct' ? config.accessToken?.reveal() : undefined,
    refreshToken,
    scope: config.grant === 'direct' ? '' : config.endpoint.scope,
    saved,
    random,
    ...(ownTokenChanged === undefined ? {} : { whenChanged: ownTokenChanged }),
  })
  return { own: { grant, token, expiry }, takeOver: () => expiry.setInForce(true) }
}

/** What a saved refresh token goes back to; on disk as a digest: what changes here makes older files unused. */
function originOf(config: OwnTokenConfig): string {
  const refresh = config.grant === 'client_credentials' ? undefined : config.refresh
  const configured = [config.grant, refresh?.url, refresh?.refreshToken?.reveal() ?? '']
  if (config.grant !== 'password') return JSON.stringify(configured)
  // Nothing configured began it, but a request: another user's, client's or endpoint's refresh token is not ours.
  const { url, clients, scope, resource, audience } = config.endpoint
  return JSON.stringify([...configured, config.username, url, clientIds(clients), scope, resource, audience])
}

/** A second secret makes a second client of the same name: the same one asks. */
function clientIds(clients: readonly ClientMethod[] = []): readonly string[] {
  return [...new Set(clients.map(clientIdOf))]
}

/**
 * What an own token was obtained for: where this is the same, it and its rotated refresh token stay good. Not what the
 * refresh asks for, which shapes the next one alone; not `stateFile`, which is handed over.
 */
function grantIdentity(config: OwnTokenConfig): object {
  const refresh = config.grant === 'client_credentials' ? undefined : config.refresh
  const endpoint = config.grant === 'direct' ? undefined : config.endpoint
  return {
    grant: config.grant,
    urls: [endpoint?.url, refresh?.url],
    asked: [endpoint?.scope, endpoint?.resource, endpoint?.audience],
    clients: [endpoint, refresh].map((one) => clientIds(one?.clients)),
    username: config.grant === 'password' ? config.username : undefined,
    // Digests: secrets compare equal whatever they hold.
    configured: [config.grant === 'direct' ? config.accessToken : undefined, refresh?.refreshToken].map((secret) =>
      secret === undefined ? undefined : hash('sha256', secret.reveal(), 'hex'),
    ),
  }
}
