/**
 * A real oidc-provider on loopback for the ways in which a gateway authenticates: by itself at `/token/introspection`,
 * or by an own token at a front beside it, since oidc-provider refuses bearer authentication there.
 */
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { Agent, createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer, type ServerOptions } from 'node:https'
import { json } from 'node:stream/consumers'
import { TLSSocket } from 'node:tls'
import Provider, { type ClientMetadata, type KoaContextWithOIDC } from 'oidc-provider'
import { createMemoryStorage } from '../../demo/memory-storage.ts'
import { freePort } from '../../scripts/envoy.ts'

/** One request at `/token`, as the server read it. */
export interface TokenRequest {
  readonly grant: string
  readonly refreshToken: string | undefined
  readonly outcome: 'granted' | 'refused'
  /** How the client authenticated. */
  readonly method: string
}

export interface OidcServer {
  readonly issuer: string
  readonly tokenUrl: string
  /** oidc-provider's own: takes client authentication only. */
  readonly introspectUrl: string
  /** The front: takes only own tokens with the scope `introspection` that oidc-provider calls active. */
  readonly bearerUrl: string
  readonly tokenRequests: readonly TokenRequest[]
  /** What the front answered, by status. */
  readonly front: { allowed: number; refused: number }
  /** Grants revoked, as after a second use of a refresh token. */
  readonly revokedGrants: readonly string[]
  /** An opaque access token of the application `shop`. */
  userToken(): Promise<string>
  /** Access and refresh token of a service account, given to this client. */
  pairFor(clientId: string): Promise<{ readonly accessToken: string; readonly refreshToken: string }>
  /** Makes this access token one that is not active. */
  kill(accessToken: string): Promise<void>
  close(): Promise<void>
}

export interface OidcServerOptions {
  readonly clients: readonly ClientMetadata[]
  /** https where given. */
  readonly tls?: ServerOptions
  /** Of own tokens, seconds; default 300. Tokens of `shop` live a day. */
  readonly ownLifeSec?: number
}

const DAY_SEC = 86_400
const SCOPES = ['orders:read', 'introspection']
const KEPT = new Agent({ keepAlive: true })
const FRONT = { id: 'front', secret: 'front-secret' }

/** A client of oidc-provider that uses client credentials and refresh tokens. */
export function oidcClient(id: string, metadata: Partial<ClientMetadata>): ClientMetadata {
  return {
    client_id: id,
    grant_types: ['client_credentials', 'authorization_code', 'refresh_token'],
    redirect_uris: ['https://gateway.example/callback'],
    response_types: ['code'],
    scope: SCOPES.join(' '),
    ...metadata,
  }
}

export async function startOidcServer(options: OidcServerOptions): Promise<OidcServer> {
  const { ownLifeSec = 300 } = options
  const port = await freePort()
  const issuer = `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`
  const provider = new Provider(issuer, {
    adapter: createMemoryStorage(),
    jwks: { keys: [generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })] },
    scopes: ['openid', 'offline_access', ...SCOPES],
    clients: [
      oidcClient('shop', { client_secret: 'shop-secret' }),
      oidcClient(FRONT.id, { client_secret: FRONT.secret }),
      ...options.clients,
    ],
    clientAuthMethods: [
      'client_secret_basic',
      'client_secret_post',
      'client_secret_jwt',
      'private_key_jwt',
      'tls_client_auth',
      'self_signed_tls_client_auth',
    ],
    enabledJWA: {
      clientAuthSigningAlgValues: ['HS256', 'HS384', 'HS512', 'RS256', 'PS256', 'ES256', 'ES384', 'EdDSA', 'Ed25519'],
    },
    findAccount: (_context, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    rotateRefreshToken: true,
    features: {
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      devInteractions: { enabled: false },
      mTLS: {
        enabled: true,
        selfSignedTlsClientAuth: true,
        tlsClientAuth: true,
        getCertificate: certificateOf,
        certificateAuthorized: ({ req }) => req.socket instanceof TLSSocket && req.socket.authorized,
        certificateSubjectMatches: (context, property, expected) =>
          property === 'tls_client_auth_subject_dn' && certificateOf(context)?.subject === expected,
      },
    },
    ttl: {
      AccessToken: ownLifeSec,
      ClientCredentials: (_context, _token, { clientId }) => (clientId === 'shop' ? DAY_SEC : ownLifeSec),
      RefreshToken: DAY_SEC,
      Grant: DAY_SEC,
    },
  })

  const tokenRequests: TokenRequest[] = []
  const note =
    (outcome: TokenRequest['outcome']) =>
    ({ oidc }: KoaContextWithOIDC): void => {
      const { grant_type: grant, refresh_token: refreshToken } = oidc.params ?? {}
      tokenRequests.push({
        grant: String(grant),
        refreshToken: typeof refreshToken === 'string' ? refreshToken : undefined,
        outcome,
        method: String(oidc.client?.metadata().token_endpoint_auth_method),
      })
    }
  provider.on('grant.success', note('granted'))
  provider.on('grant.error', note('refused'))
  const revokedGrants: string[] = []
  provider.on('grant.revoked', (_context, grantId) => void revokedGrants.push(grantId))

  const introspectUrl = `${issuer}/token/introspection`
  const front = { allowed: 0, refused: 0 }
  const handle = provider.callback()
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    if (request.url !== '/bearer/introspection') return void handle(request, response)
    answerBearer(request, response, introspectUrl, front).catch(() => response.destroy())
  }
  const server = options.tls === undefined ? createServer(serve) : createHttpsServer(options.tls, serve)
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))

  const clientOf = async (id: string) => {
    const found = await provider.Client.find(id)
    if (found === undefined) throw new Error(`no client ${id}`)
    return found
  }
  return {
    issuer,
    tokenUrl: `${issuer}/token`,
    introspectUrl,
    bearerUrl: `${issuer}/bearer/introspection`,
    tokenRequests,
    front,
    revokedGrants,
    userToken: async () =>
      new provider.ClientCredentials({ client: await clientOf('shop'), scope: 'orders:read' }).save(),
    async pairFor(clientId) {
      const client = await clientOf(clientId)
      const accountId = 'gateway-service'
      const grant = new provider.Grant({ accountId, clientId })
      grant.addOIDCScope('introspection')
      const given = {
        accountId,
        client,
        scope: 'introspection',
        grantId: await grant.save(),
        gty: 'authorization_code',
      }
      return {
        accessToken: await new provider.AccessToken(given).save(),
        refreshToken: await new provider.RefreshToken(given).save(),
      }
    },
    async kill(accessToken) {
      const found = await provider.AccessToken.find(accessToken)
      await found?.destroy()
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function certificateOf({ req: { socket } }: KoaContextWithOIDC) {
  return socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
}

/** The own token first, by the front's own client; then the token asked about. */
async function answerBearer(
  request: IncomingMessage,
  response: ServerResponse,
  introspectUrl: string,
  front: OidcServer['front'],
): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const form = new URLSearchParams(Buffer.concat(chunks).toString('utf8'))
  const [, bearer] = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '') ?? []
  const own = bearer === undefined ? undefined : await introspect(introspectUrl, bearer)
  if (own?.active !== true || own.scope !== 'introspection') {
    front.refused += 1
    response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end()
    return
  }
  const answer = await introspect(introspectUrl, form.get('token') ?? '')
  front.allowed += 1
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
}

/** By node:http, which costs less than fetch: a long run does this twenty thousand times. */
async function introspect(url: string, token: string): Promise<{ active?: unknown; scope?: unknown }> {
  const sent = httpRequest(url, {
    method: 'POST',
    agent: KEPT,
    auth: `${FRONT.id}:${FRONT.secret}`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })
  sent.end(new URLSearchParams({ token }).toString())
  const [answer]: IncomingMessage[] = await once(sent, 'response')
  if (answer?.statusCode !== 200) throw new Error(`the front itself was refused: ${answer?.statusCode}`)
  return Object(await json(answer))
}
