/** A scripted authorization server: token and introspection endpoint, own tokens required; it remembers what it saw. */
import type { Clock } from '../../src/authz/ports.ts'
import { type ReceivedRequest, type ScriptedAnswer, type ScriptedKeyManager, startKeyManager } from './key-manager.ts'
import { type Pair, startPair } from './pair.ts'

export interface Authority {
  readonly server: ScriptedKeyManager
  readonly tokenUrl: string
  readonly introspectUrl: string
  /** Token requests in the order they came. */
  readonly tokenRequests: ReceivedRequest[]
  /** Introspections in the order they came. */
  readonly introspections: ReceivedRequest[]
  /** The most token requests unanswered at once. */
  readonly mostTokenRequests: number
  /** Own tokens `/introspect` accepts. */
  readonly live: Set<string>
  /** In place of a new token; undefined: the default. */
  onToken: ((request: ReceivedRequest) => ScriptedAnswer | Promise<ScriptedAnswer | undefined> | undefined) | undefined
  /** In place of the default, which is active where the own token is live. */
  onIntrospect: ((request: ReceivedRequest) => ScriptedAnswer | Promise<ScriptedAnswer>) | undefined
  /** Members of every token answer besides access_token and token_type. */
  more: object
  close(): Promise<void>
}

/** Grants `own-1`, `own-2`, ... with `refresh-1`, ... beside them where `rotate`; the newest alone is live. */
export async function startAuthority(options: { rotate?: boolean } = {}): Promise<Authority> {
  const server = await startKeyManager()
  const live = new Set<string>()
  const tokenRequests: ReceivedRequest[] = []
  const introspections: ReceivedRequest[] = []
  let granted = 0
  let open = 0
  let most = 0
  const authority: Authority = {
    server,
    tokenUrl: `http://127.0.0.1:${server.port}/token`,
    introspectUrl: `http://127.0.0.1:${server.port}/introspect`,
    tokenRequests,
    introspections,
    get mostTokenRequests() {
      return most
    },
    live,
    onToken: undefined,
    onIntrospect: undefined,
    more: { expires_in: 3600 },
    close: () => server.close(),
  }
  const grant = (): ScriptedAnswer => {
    granted += 1
    live.clear()
    live.add(`own-${granted}`)
    const refresh = options.rotate === true ? { refresh_token: `refresh-${granted}` } : {}
    return { body: { access_token: `own-${granted}`, token_type: 'Bearer', ...refresh, ...authority.more } }
  }
  server.answer(async (request) => {
    if (request.path.startsWith('/token')) {
      tokenRequests.push(request)
      open += 1
      most = Math.max(most, open)
      try {
        return authority.onToken === undefined ? grant() : ((await authority.onToken(request)) ?? grant())
      } finally {
        open -= 1
      }
    }
    introspections.push(request)
    if (authority.onIntrospect !== undefined) return authority.onIntrospect(request)
    const own = request.headers['authorization']?.replace(/^Bearer /, '') ?? ''
    if (!live.has(own))
      return { status: 401, headers: { 'www-authenticate': 'Bearer error="invalid_token"' }, body: '' }
    return { body: { active: request.form.get('token')?.startsWith('good') === true, scope: 'read', sub: 'alice' } }
  })
  return authority
}

export type GrantTables = 'clientCredential' | 'password' | 'password+refresh' | 'direct' | 'direct+refresh'

/** `[keymanager.security.oauth2]` for this authority. */
export function oauth2Config(
  authority: Pick<Authority, 'tokenUrl' | 'introspectUrl'>,
  grant: GrantTables,
  bearer = 'AUTH_HEADER_BEARER',
  more = '',
): string {
  const client = 'clientId = "gate/way 1"\nclientSecret = "s%+cret:ü"\n'
  const table = (name: string, keys: string): string => `[keymanager.security.oauth2.${name}]\nenabled = true\n${keys}`
  const refresh = table('refresh', `refreshUrl = "${authority.tokenUrl}"\nscopes = "introspection"\n`)
  const tables: Record<GrantTables, string> = {
    clientCredential: table('clientCredential', `${client}scopes = "introspection, other"\n`),
    password: table('password', `${client}username = "ü ser"\npassword = "p&ss=w"\n`),
    'password+refresh': table('password', `${client}username = "ü ser"\npassword = "p&ss=w"\n`) + refresh,
    direct: table('directToken', 'accessToken = "own-0"\n'),
    'direct+refresh': `${table('directToken', 'accessToken = ""\n')}${refresh}${client}refreshToken = "refresh-0"\n`,
  }
  return `[keyManager]
external = true
introspectUrl = "${authority.introspectUrl}"
[keymanager.security.oauth2]
enabled = true
tokenUrl = "${authority.tokenUrl}"
credentialBearer = "${bearer}"
${tables[grant]}${more}`
}

export interface OwnTokenPair extends Pair {
  readonly authority: Authority
}

/** The started app before this authority. */
export async function startOwnTokenPair(
  options: {
    grant?: GrantTables
    bearer?: string
    rotate?: boolean
    more?: string
    clock?: Clock
    flags?: Record<string, string>
    prepare?: (authority: Authority) => void
    /** Last changes to the configuration text. */
    edit?: (toml: string) => string
  } = {},
): Promise<OwnTokenPair> {
  const authority = await startAuthority(options.rotate === undefined ? {} : { rotate: options.rotate })
  options.prepare?.(authority)
  const toml = oauth2Config(authority, options.grant ?? 'clientCredential', options.bearer, options.more)
  const pair = await startPair({
    config: options.edit?.(toml) ?? toml,
    ...(options.clock === undefined ? {} : { clock: options.clock }),
    ...(options.flags === undefined ? {} : { flags: options.flags }),
  })
  return Object.assign(pair, {
    authority,
    close: closing(pair.close, authority),
  })
}

function closing(closePair: () => Promise<void>, authority: Authority): () => Promise<void> {
  return async () => {
    await closePair()
    await authority.close()
  }
}
