/** A real authorization server for the demo: oidc-provider with opaque tokens, everything in memory. */
import { generateKeyPairSync } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import Provider from 'oidc-provider'
import { freePort } from '../scripts/envoy.ts'
import { createMemoryStorage } from './memory-storage.ts'

export interface AuthorizationServer {
  readonly introspectUrl: string
  /** An opaque access token by client credentials. */
  accessToken(scope: string): Promise<string>
  /** A refresh token of a user, as an attacker would try to use one. */
  refreshToken(): Promise<string>
  revoke(token: string): Promise<void>
  /** Stops answering; the port stays its own. */
  pause(): Promise<void>
  resume(): Promise<void>
  close(): Promise<void>
}

const SCOPES = ['orders:read', 'orders:write']
const API = { id: 'shop', secret: 'shop-secret' }

export async function startAuthorizationServer(gateway: { id: string; secret: string }): Promise<AuthorizationServer> {
  const port = await freePort()
  const issuer = `http://127.0.0.1:${port}`
  const provider = new Provider(issuer, {
    adapter: createMemoryStorage(),
    jwks: { keys: [generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })] },
    scopes: ['openid', 'offline_access', ...SCOPES],
    clients: [
      client(API.id, API.secret, ['client_credentials']),
      client(gateway.id, gateway.secret, ['client_credentials']),
    ],
    features: {
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: mayIntrospect },
      revocation: { enabled: true, allowedPolicy: mayRevoke },
      devInteractions: { enabled: false },
    },
    ttl: { ClientCredentials: 300, RefreshToken: 3600, Grant: 3600 },
  })
  const handle = provider.callback()
  let server: Server | undefined
  const listen = async (): Promise<void> => {
    const next = createServer((request, response) => void handle(request, response))
    server = next
    await new Promise<void>((resolve, reject) => next.once('error', reject).listen(port, '127.0.0.1', resolve))
  }
  const stop = async (): Promise<void> => {
    const current = server
    if (current === undefined) return
    server = undefined
    await new Promise<void>((resolve) => {
      current.close(() => resolve())
      current.closeAllConnections()
    })
  }
  await listen()

  return {
    introspectUrl: `${issuer}/token/introspection`,
    async accessToken(scope) {
      const answer = await post(`${issuer}/token`, { grant_type: 'client_credentials', scope })
      const token: unknown = Object(await answer.json()).access_token
      if (typeof token !== 'string') throw new Error('the authorization server gave no access token')
      return token
    },
    async refreshToken() {
      const grant = new provider.Grant({ accountId: 'alice', clientId: API.id })
      grant.addOIDCScope(SCOPES.join(' '))
      const found = await provider.Client.find(API.id)
      if (found === undefined) throw new Error('the demo client is missing')
      const token = new provider.RefreshToken({
        accountId: 'alice',
        client: found,
        scope: SCOPES.join(' '),
        grantId: await grant.save(),
        gty: 'authorization_code',
      })
      return await token.save()
    },
    async revoke(token) {
      await post(`${issuer}/token/revocation`, { token })
    },
    pause: stop,
    resume: listen,
    close: stop,
  }
}

/** Who may ask about a token: the gateway. */
const mayIntrospect = (_: unknown, caller: { clientId: string }): boolean => caller.clientId !== API.id

/** Who may revoke one: the client it was given to. */
const mayRevoke = (_: unknown, caller: { clientId: string }): boolean => caller.clientId === API.id

function client(id: string, secret: string, grants: readonly string[]) {
  return {
    client_id: id,
    client_secret: secret,
    grant_types: [...grants],
    redirect_uris: [],
    response_types: [],
    scope: SCOPES.join(' '),
  }
}

function post(url: string, form: Record<string, string>): Promise<Response> {
  const authorization = `Basic ${Buffer.from(`${API.id}:${API.secret}`).toString('base64')}`
  return fetch(url, { method: 'POST', headers: { authorization }, body: new URLSearchParams(form) })
}
