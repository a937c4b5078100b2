/** The request half of a token request (RFC 6749 sections 4.3, 4.4 and 6). Nothing here rejects. */
import type { Clock } from '../authz/ports.ts'
import type { OwnTokenConfig, TokenEndpointConfig } from '../config/config.ts'
import { fetchText } from '../net/http.ts'
import type { TlsOptions } from '../net/tls.ts'
import { type ClientAuthentication, createClientAuthentication } from './client-authentication.ts'
import { FormBody } from './form-body.ts'
import { type GrantResult, readTokenAnswer, refused } from './token-answer.ts'

/** For one token request, ms (product P10). */
const TOKEN_REQUEST_MS = 5_000
const LARGEST_ANSWER_BYTES = 65_536
const NO_TOKEN_ENDPOINT =
  'the metadata names no token_endpoint that may be used: write tokenUrl (for refresh, refreshUrl); allowInsecure lets plain http in, but for tls_client_auth'

export interface Grants {
  /** Asks by the configured grant; undefined for a direct token, which nobody can ask for. */
  readonly first: { readonly name: 'client_credentials' | 'password'; ask(): Promise<GrantResult> } | undefined
  /** Undefined where there is no `refresh`. */
  readonly refresh: ((refreshToken: string) => Promise<GrantResult>) | undefined
}

export interface GrantDependencies {
  readonly clock: Clock
  readonly tls: TlsOptions
  readonly proxy: string | undefined
  /** `token_endpoint` of the discovered metadata; '' where that names none, undefined where it is not known. */
  readonly discovered: () => Promise<string | undefined>
}

export function createGrants(config: OwnTokenConfig, dependencies: GrantDependencies): Grants {
  const refresh = config.grant === 'client_credentials' ? undefined : config.refresh
  const askRefresh = refresh === undefined ? undefined : createTokenRequest(refresh, dependencies)
  return {
    first: firstGrant(config, dependencies),
    refresh:
      askRefresh === undefined
        ? undefined
        : (refreshToken) => askRefresh({ grant_type: 'refresh_token', refresh_token: refreshToken }),
  }
}

function firstGrant(config: OwnTokenConfig, dependencies: GrantDependencies): Grants['first'] {
  switch (config.grant) {
    case 'client_credentials': {
      const ask = createTokenRequest(config.endpoint, dependencies)
      return { name: 'client_credentials', ask: () => ask({ grant_type: 'client_credentials' }) }
    }
    case 'password': {
      const ask = createTokenRequest(config.endpoint, dependencies)
      const { username, password } = config
      return {
        name: 'password',
        ask: () => ask({ grant_type: 'password', username, password: password.reveal() }),
      }
    }
    case 'direct':
      return undefined
    default:
      return config satisfies never
  }
}

/** One request; after `invalid_client` once more as the other client, which is then the one to begin with. */
function createTokenRequest(
  endpoint: TokenEndpointConfig,
  dependencies: GrantDependencies,
): (grant: Readonly<Record<string, string>>) => Promise<GrantResult> {
  const clients = endpoint.clients.map((method) => createClientAuthentication(method, dependencies.clock.wallMs))
  let current = 0
  return async (grant) => {
    let result = refused('rejected', 'no client is configured') as GrantResult
    for (let tried = 0; tried < clients.length; tried += 1) {
      const index = (current + tried) % clients.length
      const authenticate = clients[index]
      if (authenticate === undefined) break
      result = await send(endpoint, grant, authenticate, dependencies)
      if (result.kind === 'granted' || result.error !== 'invalid_client') {
        current = index
        break
      }
    }
    return result
  }
}

async function send(
  endpoint: TokenEndpointConfig,
  grant: Readonly<Record<string, string>>,
  authenticate: ClientAuthentication,
  { clock, tls, proxy, discovered }: GrantDependencies,
): Promise<GrantResult> {
  try {
    const url = endpoint.url ?? (await discovered())
    if (url === undefined) return refused('network', 'the token endpoint is not known yet: discovery has not succeeded')
    if (url === '') return refused('malformed', NO_TOKEN_ENDPOINT)
    const form = new FormBody()
    for (const [name, value] of Object.entries(grant)) form.add(name, value)
    // RFC 6749 section 3.3: absent where nothing is asked for; some servers refuse an empty one.
    if (endpoint.scope !== '') form.add('scope', endpoint.scope)
    for (const resource of endpoint.resource) form.add('resource', resource)
    if (endpoint.audience !== undefined) form.add('audience', endpoint.audience)
    const headers: Record<string, string> = {
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
    }
    await authenticate({ url, headers, form })
    const answer = await fetchText(url, {
      method: 'POST',
      headers,
      body: form.toString(),
      timeoutMs: TOKEN_REQUEST_MS,
      maxBytes: LARGEST_ANSWER_BYTES,
      tls,
      proxy,
      clock,
    })
    if (answer.ok) return readTokenAnswer(answer, clock.wallMs())
    if (answer.kind === 'too_large') return refused('malformed', answer.detail)
    return refused(answer.kind, answer.detail)
  } catch {
    // A key that cannot sign, at most. The error may hold a secret, so it goes no further.
    return refused('rejected', 'the token request could not be made: does the assertion key fit its algorithm?')
  }
}
