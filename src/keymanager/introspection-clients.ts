/** The HTTP client of the introspection endpoint, wherever that is: written, or found by discovery. */
import type { Clock } from '../authz/ports.ts'
import type { KeyManagerConfig } from '../config/config.ts'
import { createPostClient, type PostClient } from '../net/http.ts'
import { readTlsOptions, type TlsOptions } from '../net/tls.ts'
import type { Endpoints } from './discovery.ts'

interface ClientDependencies {
  readonly clock: Clock
  readonly http?: PostClient
  readonly tls?: TlsOptions
  readonly endpoints?: (() => Endpoints | undefined | Promise<Endpoints | undefined>) | undefined
}

export interface ClientOf {
  readonly url: string
  readonly client: PostClient
}

/** The client for the introspection endpoint: another one where discovery has moved it. Undefined: it is not known. */
export function createIntrospectionClients(
  settings: KeyManagerConfig,
  dependencies: ClientDependencies,
): (() => ClientOf | undefined | Promise<ClientOf | undefined>) & { close(): Promise<void> } {
  const { endpoints } = dependencies
  let current: ClientOf | undefined
  const at = (url: string | undefined): ClientOf | undefined => {
    if (url === undefined || url === current?.url) return current
    void current?.client.close()
    current = { url, client: dependencies.http ?? createHttp(url, settings, dependencies) }
    return current
  }
  const written = settings.introspectUrl
  if (written !== undefined) at(written)
  const find = (): ClientOf | undefined | Promise<ClientOf | undefined> => {
    if (written !== undefined || endpoints === undefined) return current
    const known = endpoints()
    return known instanceof Promise ? known.then((found) => at(found?.introspection)) : at(known?.introspection)
  }
  return Object.assign(find, { close: async () => current?.client.close() })
}

function createHttp(url: string, settings: KeyManagerConfig, { clock, tls }: ClientDependencies): PostClient {
  return createPostClient({
    url,
    connections: settings.maxInFlight,
    timeoutMs: settings.timeoutMs,
    connectTimeoutMs: settings.connectTimeoutMs,
    maxAnswerSize: settings.maxAnswerSize,
    tls: tls ?? readTlsOptions(settings.tls),
    proxy: settings.proxy,
    clock,
  })
}
