/**
 * The token request and its answer, with oauth4webapi as the judge: what we send is what it sends for the same client,
 * and what we take from an answer is what it takes. Where the two differ the table says why.
 */
import { expect } from 'chai'
import { after, afterEach, before, describe, it } from 'mocha'
import * as oauth from 'oauth4webapi'
import { systemClock } from '../../src/clock.ts'
import { createGrants, type GrantDependencies } from '../../src/keymanager/grants.ts'
import type { GrantResult } from '../../src/keymanager/token-answer.ts'
import { defaultTls } from '../../src/net/tls.ts'
import { type Authority, type GrantTables, type OwnTokenPair, startOwnTokenPair } from '../support/authority.ts'
import { createFakeClock } from '../support/clock.ts'
import {
  type ReceivedRequest,
  type ScriptedAnswer,
  type ScriptedKeyManager,
  startKeyManager,
} from '../support/key-manager.ts'

/** What the tables of `oauth2Config` say. */
const CLIENT: oauth.Client = { client_id: 'gate/way 1' }
const SECRET = 's%+cret:ü'
const ON_LOOPBACK = { [oauth.allowInsecureRequests]: true }
const PAST_RENEWAL_MS = 0.81 * 3_600_000

function serverAt(tokenUrl: string): oauth.AuthorizationServer {
  return { issuer: new URL(tokenUrl).origin, token_endpoint: tokenUrl }
}

/** A token request as a server understands it, whatever the spelling. */
function understood({ method, path, headers, form }: ReceivedRequest) {
  return {
    method,
    path,
    accept: headers['accept'],
    mediaType: headers['content-type']?.split(';')[0],
    client: basicClient(headers['authorization']),
    parameters: [...form].map(([name, value]) => `${name}: ${value}`).sort(),
  }
}

/** RFC 6749 section 2.3.1: id and secret, each form-decoded. */
function basicClient(authorization: string | undefined): readonly string[] | undefined {
  if (authorization === undefined) return undefined
  const [, credentials = ''] = /^Basic ([A-Za-z0-9+/]+=*)$/.exec(authorization) ?? []
  return Buffer.from(credentials, 'base64')
    .toString('utf8')
    .split(':')
    .map((half) => new URLSearchParams(`half=${half}`).get('half') ?? '')
}

interface Bearer {
  readonly name: 'AUTH_HEADER_BEARER' | 'POST_BODY_BEARER' | 'NO_BEARER'
  readonly authentication: oauth.ClientAuth
}

const BEARERS: readonly Bearer[] = [
  { name: 'AUTH_HEADER_BEARER', authentication: oauth.ClientSecretBasic(SECRET) },
  { name: 'POST_BODY_BEARER', authentication: oauth.ClientSecretPost(SECRET) },
  // Product section 4: neither. oauth4webapi's own None() sends client_id, see below.
  { name: 'NO_BEARER', authentication: () => undefined },
]

interface Grant {
  readonly name: string
  readonly tables: GrantTables
  /** Which of the sidecar's token requests it is. */
  readonly nth: number
  ask(server: oauth.AuthorizationServer, authentication: oauth.ClientAuth): Promise<Response>
}

const GRANTS: readonly Grant[] = [
  {
    name: 'client credentials',
    tables: 'clientCredential',
    nth: 0,
    ask: (server, authentication) =>
      oauth.clientCredentialsGrantRequest(
        server,
        CLIENT,
        authentication,
        { scope: 'introspection other' },
        ON_LOOPBACK,
      ),
  },
  {
    name: 'password',
    tables: 'password',
    nth: 0,
    ask: (server, authentication) =>
      oauth.genericTokenEndpointRequest(
        server,
        CLIENT,
        authentication,
        'password',
        { username: 'ü ser', password: 'p&ss=w' },
        ON_LOOPBACK,
      ),
  },
  {
    name: 'refresh after password',
    tables: 'password+refresh',
    nth: 1,
    ask: (server, authentication) => refreshBy(server, authentication, 'refresh-1'),
  },
  {
    name: 'refresh beside a direct token',
    tables: 'direct+refresh',
    nth: 0,
    ask: (server, authentication) => refreshBy(server, authentication, 'refresh-0'),
  },
]

function refreshBy(server: oauth.AuthorizationServer, authentication: oauth.ClientAuth, refreshToken: string) {
  const options = { ...ON_LOOPBACK, additionalParameters: { scope: 'introspection' } }
  return oauth.refreshTokenGrantRequest(server, CLIENT, authentication, refreshToken, options)
}

describe('the token request beside that of oauth4webapi', () => {
  let pair: OwnTokenPair | undefined

  afterEach(async () => {
    await pair?.close()
    pair = undefined
  })

  /** The sidecar's request of this grant, then the judge's to the same server. */
  async function send(grant: Grant, bearer: Bearer['name']): Promise<Authority> {
    const clock = createFakeClock({ wallMs: Date.now() })
    const started = await startOwnTokenPair({ grant: grant.tables, bearer, rotate: true, clock })
    pair = started
    expect(await started.ask('Bearer good')).to.include({ reason: 'allowed' })
    if (grant.nth > 0) clock.advance(PAST_RENEWAL_MS)
    // Asked again and again; the test's timeout bounds it.
    while (started.authority.tokenRequests.length <= grant.nth) await started.ask('Bearer good')
    expect(started.authority.tokenRequests).to.have.length(grant.nth + 1)
    return started.authority
  }

  async function compare(authority: Authority, grant: Grant, authentication: oauth.ClientAuth) {
    const answer = await grant.ask(serverAt(authority.tokenUrl), authentication)
    expect(answer.status).to.equal(200)
    await answer.body?.cancel()
    const [ours, theirs] = authority.tokenRequests.slice(grant.nth)
    if (ours === undefined || theirs === undefined) throw new Error('two requests were expected')
    return { ours: understood(ours), theirs: understood(theirs) }
  }

  for (const grant of GRANTS) {
    for (const bearer of BEARERS) {
      it(`is the same for ${grant.name} with ${bearer.name}`, async () => {
        const authority = await send(grant, bearer.name)
        const { ours, theirs } = await compare(authority, grant, bearer.authentication)
        expect(ours).to.deep.equal(theirs)
        expect(ours.client).to.deep.equal(bearer.name === 'AUTH_HEADER_BEARER' ? [CLIENT.client_id, SECRET] : undefined)
      })
    }

    it(`lacks only client_id of a public client's for ${grant.name} with NO_BEARER`, async () => {
      const authority = await send(grant, 'NO_BEARER')
      const { ours, theirs } = await compare(authority, grant, oauth.None())
      const parameters = [...ours.parameters, `client_id: ${CLIENT.client_id}`].sort()
      expect({ ...ours, parameters }).to.deep.equal(theirs)
    })
  }
})

type Verdict = 'accept' | 'refuse'

interface Row {
  readonly name: string
  readonly answer: ScriptedAnswer
  readonly ours: Verdict
  readonly theirs: Verdict
  /** Where the two differ. */
  readonly why?: string
  /** `error` as both name it. */
  readonly error?: string
}

const TOKEN = { access_token: 'own-1', token_type: 'Bearer', expires_in: 3600 }
const JSON_TEXT = JSON.stringify(TOKEN)

const same = (verdict: Verdict, name: string, answer: ScriptedAnswer, error?: string): Row => ({
  name,
  answer,
  ours: verdict,
  theirs: verdict,
  ...(error === undefined ? {} : { error }),
})
const body = (members: object): ScriptedAnswer => ({ body: { ...TOKEN, ...members } })
const typed = (type: string | undefined, text = JSON_TEXT): ScriptedAnswer => ({
  headers: type === undefined ? {} : { 'content-type': type },
  body: text,
})
const failed = (status: number, error: string, headers: Readonly<Record<string, string>> = {}): ScriptedAnswer => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: { error },
})

const ROWS: readonly Row[] = [
  same('accept', 'Bearer', body({})),
  same('accept', 'bearer in lower case', body({ token_type: 'bearer' })),
  same('accept', 'BEARER in upper case', body({ token_type: 'BEARER' })),
  same('accept', 'a refresh token', body({ refresh_token: 'refresh-1' })),
  same('accept', 'a scope', body({ scope: 'introspection' })),
  same('accept', 'members nobody knows', body({ session_state: 'x', 'not-before-policy': 0 })),
  same('accept', 'no expires_in', body({ expires_in: undefined })),
  same('accept', 'expires_in as a decimal string', body({ expires_in: '120' })),
  same('accept', 'expires_in 0', body({ expires_in: 0 })),
  same('accept', 'a charset beside the media type', typed('application/json;charset=UTF-8')),
  same('accept', 'a byte order mark', typed('application/json', `\uFEFF${JSON_TEXT}`)),

  same('refuse', 'token_type missing', body({ token_type: undefined })),
  same('refuse', 'token_type null', body({ token_type: null })),
  same('refuse', 'token_type a number', body({ token_type: 1 })),
  same('refuse', 'token_type empty', body({ token_type: '' })),
  same('refuse', 'token_type mac', body({ token_type: 'mac' })),
  same('refuse', 'token_type N_A', body({ token_type: 'N_A' })),
  same('refuse', 'access_token missing', body({ access_token: undefined })),
  same('refuse', 'access_token null', body({ access_token: null })),
  same('refuse', 'access_token empty', body({ access_token: '' })),
  same('refuse', 'access_token a number', body({ access_token: 7 })),
  same('refuse', 'access_token a list', body({ access_token: ['own-1'] })),
  same('refuse', 'refresh_token a number', body({ refresh_token: 7 })),
  same('refuse', 'a list around the object', { body: [TOKEN] }),
  same('refuse', 'a string', { body: '"own-1"' }),
  same('refuse', 'null', { body: 'null' }),
  same('refuse', 'an empty body', { body: '' }),
  same('refuse', 'JSON cut short', { body: JSON_TEXT.slice(0, -1) }),
  same('refuse', 'a page of HTML', typed('text/html', '<html>log in</html>')),
  same('refuse', 'a form', typed('application/x-www-form-urlencoded', 'access_token=own-1&token_type=bearer')),
  same('refuse', '202', { status: 202, body: TOKEN }),
  same('refuse', '203', { status: 203, body: TOKEN }),
  same('refuse', '302', { status: 302, headers: { location: '/token', 'content-type': 'application/json' } }),
  same('refuse', '400 with a token', { status: 400, body: TOKEN }),
  same('refuse', '400 invalid_request', failed(400, 'invalid_request'), 'invalid_request'),
  same('refuse', '400 invalid_client', failed(400, 'invalid_client'), 'invalid_client'),
  same('refuse', '400 invalid_grant', failed(400, 'invalid_grant'), 'invalid_grant'),
  same('refuse', '400 unauthorized_client', failed(400, 'unauthorized_client'), 'unauthorized_client'),
  same('refuse', '400 unsupported_grant_type', failed(400, 'unsupported_grant_type'), 'unsupported_grant_type'),
  same('refuse', '400 invalid_scope', failed(400, 'invalid_scope'), 'invalid_scope'),
  same('refuse', '400 invalid_target', failed(400, 'invalid_target'), 'invalid_target'),
  same('refuse', '401 invalid_client', failed(401, 'invalid_client'), 'invalid_client'),
  same('refuse', '401 with a challenge', failed(401, 'invalid_client', { 'www-authenticate': 'Basic realm="as"' })),
  same('refuse', '400 as HTML', { ...failed(400, 'invalid_grant'), headers: { 'content-type': 'text/html' } }),
  same('refuse', '429', failed(429, 'slow_down', { 'retry-after': '2' })),
  same('refuse', '500', failed(500, 'server_error')),
  same('refuse', '503', { status: 503, headers: { 'content-type': 'text/html' }, body: '<html>' }),

  {
    name: 'token_type DPoP',
    answer: body({ token_type: 'DPoP' }),
    ours: 'refuse',
    theirs: 'accept',
    why: 'oauth4webapi can prove possession of a key (RFC 9449); we send own tokens as bearer tokens only',
  },
  {
    name: 'an access_token with a space',
    answer: body({ access_token: 'own 1' }),
    ours: 'refuse',
    theirs: 'accept',
    why: 'it could not be sent in a header (RFC 6750 section 2.1)',
  },
  {
    name: 'an access_token with a line end',
    answer: body({ access_token: 'own-1\r\nx: y' }),
    ours: 'refuse',
    theirs: 'accept',
    why: 'it could not be sent in a header (RFC 6750 section 2.1)',
  },
  ...['text/html', 'text/plain', 'application/x-www-form-urlencoded', undefined].map(
    (type): Row => ({
      name: `good JSON as ${type ?? 'no media type at all'}`,
      answer: typed(type),
      ours: 'refuse',
      theirs: 'accept',
      why: 'oauth4webapi looks at the media type only where the body is no JSON; RFC 6749 section 5.1 fixes it',
    }),
  ),
  {
    name: '201',
    answer: { status: 201, body: TOKEN },
    ours: 'accept',
    theirs: 'refuse',
    why: 'some servers answer so; the token is as good',
  },
  ...[-1, '-1', 'soon', null, {}].map(
    (expiresIn): Row => ({
      name: `expires_in ${JSON.stringify(expiresIn)}`,
      answer: body({ expires_in: expiresIn }),
      ours: 'accept',
      theirs: 'refuse',
      why: 'product P24: a life that cannot be used is taken as 300 s, and a 401 renews the token before that',
    }),
  ),
  ...[null, ''].map(
    (refreshToken): Row => ({
      name: `refresh_token ${JSON.stringify(refreshToken)}`,
      answer: body({ refresh_token: refreshToken }),
      ours: 'accept',
      theirs: 'refuse',
      why: 'some servers write null or nothing for "there is none"; the one that is held stays',
    }),
  ),
  {
    name: 'scope a list',
    answer: body({ scope: ['introspection'] }),
    ours: 'accept',
    theirs: 'refuse',
    why: 'the scope granted is only compared for a warning; what the token may do is seen at /introspect',
  },
  {
    name: 'an id_token that is none',
    answer: body({ id_token: 'x' }),
    ours: 'accept',
    theirs: 'refuse',
    why: 'nobody logs in here: an ID token is not read',
  },
]

describe('the answer to a token request beside the judgement of oauth4webapi', () => {
  let server: ScriptedKeyManager
  let tokenUrl = ''

  before(async () => {
    server = await startKeyManager()
    tokenUrl = `http://127.0.0.1:${server.port}/token`
  })

  after(() => server?.close())

  interface Judged {
    readonly verdict: Verdict
    readonly error: string | undefined
    readonly accessToken?: string | undefined
    readonly refreshToken?: string | undefined
    readonly expiresIn?: number | undefined
  }

  async function byThem(request: Promise<Response>, process: typeof oauth.processRefreshTokenResponse) {
    const response = await request
    try {
      const token = await process(serverAt(tokenUrl), CLIENT, response)
      const { access_token: accessToken, refresh_token: refreshToken, expires_in: expiresIn } = token
      return { verdict: 'accept', error: undefined, accessToken, refreshToken, expiresIn } satisfies Judged
    } catch (error) {
      return {
        verdict: 'refuse',
        error: error instanceof oauth.ResponseBodyError ? error.error : undefined,
      } satisfies Judged
    } finally {
      if (!response.bodyUsed) await response.body?.cancel()
    }
  }

  async function byUs(asked: Promise<GrantResult> | undefined): Promise<Judged> {
    const result = await asked
    if (result === undefined) throw new Error('this grant does not exist')
    if (result.kind === 'refused') return { verdict: 'refuse', error: result.error }
    const { accessToken, refreshToken, lifeMs } = result
    return { verdict: 'accept', error: undefined, accessToken, refreshToken, expiresIn: lifeMs / 1_000 }
  }

  const dependencies: GrantDependencies = {
    clock: systemClock,
    tls: defaultTls,
    proxy: undefined,
    discovered: async () => undefined,
  }
  const endpoint = () => ({
    url: tokenUrl,
    clients: [{ kind: 'none' as const }],
    scope: '',
    resource: [],
    audience: undefined,
  })

  const JUDGES = {
    client_credentials: () => ({
      ours: byUs(createGrants({ grant: 'client_credentials', endpoint: endpoint() }, dependencies).first?.ask()),
      theirs: byThem(
        oauth.clientCredentialsGrantRequest(serverAt(tokenUrl), CLIENT, oauth.None(), {}, ON_LOOPBACK),
        oauth.processClientCredentialsResponse,
      ),
    }),
    refresh_token: () => {
      const refresh = { ...endpoint(), refreshToken: undefined, stateFile: undefined }
      const grants = createGrants({ grant: 'direct', accessToken: undefined, refresh }, dependencies)
      return {
        ours: byUs(grants.refresh?.('refresh-0')),
        theirs: byThem(
          oauth.refreshTokenGrantRequest(serverAt(tokenUrl), CLIENT, oauth.None(), 'refresh-0', ON_LOOPBACK),
          oauth.processRefreshTokenResponse,
        ),
      }
    },
  }

  for (const { name, answer, ours, theirs, why, error } of ROWS) {
    const title = ours === theirs ? `${ours}s as it does` : `${ours}s, unlike it`
    it(`${title}: ${name}${why === undefined ? '' : ` (${why})`}`, async () => {
      server.answer(answer)
      for (const [grant, ask] of Object.entries(JUDGES)) {
        const asked = ask()
        const [us, them] = await Promise.all([asked.ours, asked.theirs])
        expect([us.verdict, them.verdict], grant).to.deep.equal([ours, theirs])
        if (error !== undefined) expect([us.error, them.error], grant).to.deep.equal([error, error])
        if (us.verdict === 'refuse' || them.verdict === 'refuse') continue
        expect(us.accessToken, grant).to.equal(them.accessToken)
        expect(us.refreshToken, grant).to.equal(them.refreshToken)
        // Product P24: 300 s where the server does not say, or says 0.
        expect(us.expiresIn, grant).to.equal((them.expiresIn ?? 0) === 0 ? 300 : them.expiresIn)
      }
    })
  }

  it('has a reason for each difference, and none where there is none', () => {
    for (const { name, ours, theirs, why } of ROWS) expect(why === undefined, name).to.equal(ours === theirs)
  })
})
