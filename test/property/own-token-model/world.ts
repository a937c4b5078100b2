/**
 * The real client of a key manager against a scripted server on a real socket, and the judge of what that server saw.
 * Only three instants are the client's own: when it handed a call to its pool, when the answer to one arrived, when it
 * had read a token. Without them a call already on the wire could not be told from one that should not have been sent.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Client, type Dispatcher } from 'undici'
import type { IntrospectionMetrics, OwnTokenMetrics } from '../../../src/authz/ports.ts'
import type { KeyManagerConfig, OwnTokenConfig } from '../../../src/config/config.ts'
import { Secret } from '../../../src/config/secret.ts'
import type { createKeyManager } from '../../../src/keymanager/key-manager.ts'
import { createFakeClock } from '../../support/clock.ts'
import type { Exchange, ReceivedRequest, ScriptedAnswer, ScriptedKeyManager } from '../../support/key-manager.ts'
import { basic, keyManagerSettings } from '../../unit/keymanager/support.ts'

export interface Setup {
  readonly grant: 'client_credentials' | 'password' | 'direct'
  /** True: a new access token is the end of the earlier ones, as with django-oauth-toolkit. */
  readonly grantKillsOlder: boolean
  /** How `/introspect` refuses a dead own token. */
  readonly deadStatus: 401 | 403
}

export type TokenAnswer = 200 | 401 | 403 | 503 | 'invalid_grant'
export type IntrospectionAnswer = 200 | 401 | 403 | 503

export interface Checks {
  readonly count: number
  /** The clock moves by so much just before: what falls due starts together with the calls. */
  readonly afterMs: number
  /** So many of the calls are answered only after the next token request was. */
  readonly late: number
  /** Token requests are answered only when no call is on the wire any more. */
  readonly tokenLate: boolean
}

/** What happened in all the worlds together: a model that reaches nothing proves nothing. */
export interface Tally {
  granted: number
  refreshed: number
  introspected: number
  refused: number
  dropped: number
}

export interface World {
  advance(ms: number): void
  check(checks: Checks): void
  /** Waits until the server has all that was sent, then moves the clock while it holds the answers back. */
  hang(ms: number): Promise<void>
  reload(): void
  answerToken(answer: TokenAnswer, lifeSec: number): void
  answerIntrospection(answer: IntrospectionAnswer): void
  /** Every access token granted so far is dead. */
  revoke(): void
  /** The next so many requests find their connection destroyed, unprocessed. */
  drop(path: 'token' | 'introspection', count: number): void
  /** Waits until nothing is on the wire; throws where the server saw what it must never see. */
  settle(): Promise<void>
  close(): Promise<void>
}

export const BROKEN = {
  concurrent: 'two token requests are open at once',
  noToken: 'an introspection without a token',
  unknown: 'an introspection with a token that was never granted',
  replaced: 'an introspection with a token already replaced',
  refused: 'an introspection with a token already refused',
  refreshTwice: 'a refresh token is used again after it was granted on',
  early: 'a token never refused is dropped before its renewal is due',
  restless: 'the client does not come to rest',
} as const

interface Granted {
  readonly accessToken: string
  readonly lifeMs: number
  alive: boolean
  refused: boolean
  /** By the order of events; undefined: the client has not read it. */
  delivered: number | undefined
  deliveredAtMs: number
}

/** Ticks without a change after which nothing more is on its way. */
const CALM_TICKS = 4
/** Enough for connections and the requests on them. */
const ARRIVAL_TICKS = 1_000
const RESTLESS_AFTER_MS = 5_000
/** Product P21, less the jitter: the earliest renewal. */
const EARLIEST_RENEWAL = 0.75

let worlds = 0

/** `watched`: the only breach to look for; '': any. */
export function openWorld(
  setup: Setup,
  create: typeof createKeyManager,
  server: ScriptedKeyManager,
  tally: Tally,
  watched: string,
): World {
  const clock = createFakeClock()
  const broken: string[] = []
  const violate = (what: string, detail = ''): void => {
    if (what.includes(watched)) broken.push(detail === '' ? what : `${what}: ${detail}`)
  }
  let event = 0
  const tick = (): number => {
    event += 1
    return event
  }

  // The server.
  const grants: Granted[] = []
  const spent = new Map<string, Granted>()
  let tokenAnswer: TokenAnswer = 200
  let introspectionAnswer: IntrospectionAnswer = 200
  let lifeSec = 300
  const drops = { token: 0, introspection: 0 }
  let tokenRequestsOpen = 0
  let introspectionsOpen = 0
  let tokenRequestsEnded = 0
  let lateCalls = 0
  let tokenLate = false
  /** What lets a held answer go; for a call with how many token requests had ended by then. */
  const heldTokens = new Set<() => void>()
  const heldCalls = new Map<() => void, number>()
  const grant = (accessToken: string, lifeMs: number): Granted => {
    const granted = { accessToken, lifeMs, alive: true, refused: false, delivered: undefined, deliveredAtMs: 0 }
    grants.push(granted)
    return granted
  }
  const markDelivered = (granted: Granted | undefined): void => {
    if (granted === undefined) return
    granted.delivered = tick()
    granted.deliveredAtMs = clock.monotonicMs()
  }
  if (setup.grant === 'direct') markDelivered(grant('access-0', 300_000))

  const whenOver = ({ response }: Exchange, over: () => void): void => {
    let said = false
    const once = (): void => {
      if (!said) over()
      said = true
    }
    response.once('finish', once)
    response.once('close', once)
  }
  const dropped = (path: keyof typeof drops, { socket }: Exchange): boolean => {
    if (drops[path] === 0) return false
    drops[path] -= 1
    tally.dropped += 1
    socket.destroy()
    return true
  }

  const serveToken = async (request: ReceivedRequest, exchange: Exchange): Promise<ScriptedAnswer | undefined> => {
    tokenRequestsOpen += 1
    if (tokenRequestsOpen > 1) violate(BROKEN.concurrent)
    whenOver(exchange, () => {
      tokenRequestsOpen -= 1
      tokenRequestsEnded += 1
    })
    const last = grants.findLast(({ delivered }) => delivered !== undefined)
    if (last !== undefined && !last.refused) {
      const heldForMs = clock.monotonicMs() - last.deliveredAtMs
      if (heldForMs < last.lifeMs * EARLIEST_RENEWAL) violate(BROKEN.early, `${last.accessToken}, ${heldForMs} ms`)
    }
    const refreshToken = request.form.get('refresh_token')
    if (refreshToken !== null && spent.get(refreshToken)?.delivered !== undefined)
      violate(BROKEN.refreshTwice, refreshToken)
    if (dropped('token', exchange)) return undefined
    if (tokenLate) {
      await new Promise<void>((resolve) => {
        heldTokens.add(resolve)
        exchange.response.once('close', () => heldTokens.delete(resolve) && resolve())
      })
      if (exchange.response.closed) return undefined
    }
    if (tokenAnswer === 'invalid_grant' && request.form.get('grant_type') !== 'password')
      return { status: 400, body: { error: 'invalid_grant' } }
    if (tokenAnswer === 401) return { status: 401, body: { error: 'invalid_client' } }
    if (typeof tokenAnswer === 'number' && tokenAnswer !== 200) return { status: tokenAnswer, body: {} }
    if (refreshToken !== null && spent.has(refreshToken)) return { status: 400, body: { error: 'invalid_grant' } }

    if (setup.grantKillsOlder) for (const older of grants) older.alive = false
    const number = grants.length + 1
    const granted = grant(`access-${number}`, lifeSec * 1_000)
    tally.granted += 1
    if (refreshToken !== null) {
      spent.set(refreshToken, granted)
      tally.refreshed += 1
    }
    const rotated = setup.grant === 'client_credentials' ? {} : { refresh_token: `refresh-${number}` }
    return { body: { access_token: granted.accessToken, token_type: 'Bearer', expires_in: lifeSec, ...rotated } }
  }

  const serveIntrospection = async (
    request: ReceivedRequest,
    exchange: Exchange,
  ): Promise<ScriptedAnswer | undefined> => {
    introspectionsOpen += 1
    whenOver(exchange, () => {
      introspectionsOpen -= 1
    })
    tally.introspected += 1
    const own = judgeCall(request)
    if (dropped('introspection', exchange)) return undefined
    if (lateCalls > 0) {
      lateCalls -= 1
      await new Promise<void>((resolve) => {
        heldCalls.set(resolve, tokenRequestsEnded)
        exchange.response.once('close', () => heldCalls.delete(resolve) && resolve())
      })
      if (exchange.response.closed) return undefined
    }
    if (introspectionAnswer === 503) return { status: 503 }
    if (introspectionAnswer === 200 && own?.alive === true) return { body: { active: true } }
    if (own !== undefined) own.refused = true
    tally.refused += 1
    return { status: introspectionAnswer === 200 ? setup.deadStatus : introspectionAnswer, body: {} }
  }

  const judgeCall = ({ headers, form }: ReceivedRequest): Granted | undefined => {
    const { authorization } = headers
    if (authorization === undefined) {
      violate(BROKEN.noToken)
      return undefined
    }
    const index = grants.findIndex(({ accessToken }) => authorization === `Bearer ${accessToken}`)
    const own = grants[index]
    if (own === undefined) {
      violate(BROKEN.unknown, authorization)
      return undefined
    }
    const call = callOf(authorization, form)
    arrived.add(call)
    const sentAt = sent.get(call) ?? Number.POSITIVE_INFINITY
    if (grants.slice(index + 1).some(({ delivered }) => delivered !== undefined && delivered < sentAt))
      violate(BROKEN.replaced, call)
    if ((refusals.get(authorization) ?? Number.POSITIVE_INFINITY) < sentAt) violate(BROKEN.refused, call)
    return own
  }

  server.requests.length = 0
  // Its own URLs: what an earlier world gave up may still come.
  worlds += 1
  const urls = { token: `/${worlds}/token`, introspection: `/${worlds}/introspect` }
  server.answer((request, exchange) => {
    if (request.path === urls.token) return serveToken(request, exchange)
    if (request.path === urls.introspection) return serveIntrospection(request, exchange)
    return { status: 404 }
  })
  const configure = (): KeyManagerConfig =>
    settings(setup, new URL(urls.introspection, server.url).href, new URL(urls.token, server.url).href, reloads)

  // The client's own instants. What is sent once more after a broken connection was sent the first time.
  const sent = new Map<string, number>()
  const arrived = new Set<string>()
  const refusals = new Map<string, number>()
  // Of the pool and of a connection of one's own alike: a call that comes to a closed client has one.
  const dispatchers: Pick<Dispatcher, 'dispatch'> = Object.getPrototypeOf(Client.prototype)
  const { dispatch } = dispatchers
  dispatchers.dispatch = function (this: Dispatcher, options, handler) {
    const { authorization = '' } = options.headers as Readonly<Record<string, string>>
    const call = callOf(authorization, new URLSearchParams(String(options.body)))
    if (!sent.has(call)) sent.set(call, tick())
    return dispatch.call(this, options, handler)
  }
  const whenAnswered = (message: unknown): void => {
    const { request, response } = message as {
      request: { headers: readonly string[] }
      response: { statusCode: number }
    }
    const authorization = request.headers[request.headers.indexOf('authorization') + 1] ?? ''
    if ([401, 403].includes(response.statusCode) && !refusals.has(authorization)) refusals.set(authorization, tick())
  }
  subscribe('undici:request:headers', whenAnswered)

  // The client.
  const metrics: IntrospectionMetrics & OwnTokenMetrics = {
    introspection: () => undefined,
    introspectionsInFlight: () => undefined,
    breaker: () => undefined,
    ownTokenRenewal(_grant, outcome) {
      if (outcome === 'success') markDelivered(grants.at(-1))
    },
    ownTokenExpiresAt: () => undefined,
  }
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }
  const dependencies = { clock, log, metrics, random: () => 0.5 }
  let reloads = 0
  let keyManager = create(configure(), dependencies)
  let subjects = 0
  let pending = 0
  const follow = (work: Promise<unknown>): void => {
    pending += 1
    work.then(
      () => {
        pending -= 1
      },
      (error) => violate('a promise was rejected', String(error)),
    )
  }

  const renewalIsOut = (): boolean => {
    const state = keyManager.status().ownToken?.state
    return state === 'fetching' || state === 'renewing' || tokenRequestsOpen > 0
  }
  let calmTicks = 0
  /** Answers that were held back go out when what they wait for has happened, or cannot happen any more. */
  const release = (): void => {
    for (const [answer, endedBefore] of heldCalls) {
      if (tokenRequestsEnded === endedBefore || renewalIsOut()) continue
      heldCalls.delete(answer)
      answer()
    }
    const onlyHeldCalls = introspectionsOpen === heldCalls.size
    calmTicks = onlyHeldCalls ? calmTicks + 1 : 0
    if (calmTicks < CALM_TICKS) return
    for (const answer of heldTokens) answer()
    heldTokens.clear()
    if (renewalIsOut()) return
    for (const answer of heldCalls.keys()) answer()
    heldCalls.clear()
  }
  const settle = async (): Promise<void> => {
    const startedMs = performance.now()
    calmTicks = 0
    while (pending > 0 || introspectionsOpen > 0 || renewalIsOut()) {
      await new Promise(setImmediate)
      release()
      if (performance.now() - startedMs < RESTLESS_AFTER_MS) continue
      violate(BROKEN.restless)
      break
    }
    lateCalls = 0
    tokenLate = false
    // What was given up while it waited for a connection never arrives.
    for (const call of sent.keys()) arrived.add(call)
    if (broken.length > 0) throw new Error(broken.join('\n'))
  }

  return {
    advance: (ms) => clock.advance(ms),
    check(checks) {
      lateCalls = checks.late
      tokenLate = checks.tokenLate
      clock.advance(checks.afterMs)
      for (let index = 0; index < checks.count; index += 1) {
        subjects += 1
        follow(keyManager.introspect(`subject-${subjects}`, { wanted: true, whenLost: undefined }))
      }
    },
    async hang(ms) {
      // A request given up before the server has it would come to it at any later time.
      for (let ticks = 0; ticks < ARRIVAL_TICKS; ticks += 1) {
        await new Promise(setImmediate)
        if (arrived.size < sent.size || (renewalIsOut() && tokenRequestsOpen === 0)) continue
        clock.advance(ms)
        return
      }
    },
    reload() {
      reloads += 1
      const before = keyManager
      keyManager = create(configure(), dependencies, before)
      follow(before.close(keyManager))
    },
    answerToken(answer, seconds) {
      tokenAnswer = answer
      lifeSec = seconds
    },
    answerIntrospection(answer) {
      introspectionAnswer = answer
    },
    revoke() {
      for (const granted of grants) granted.alive = false
    },
    drop(path, count) {
      drops[path] += count
    },
    settle,
    async close() {
      dispatchers.dispatch = dispatch
      unsubscribe('undici:request:headers', whenAnswered)
      // What may still hang then would keep the pool from closing.
      if (broken.length > 0) server.dropConnections()
      await keyManager.close()
    },
  }
}

function callOf(authorization: string, form: URLSearchParams): string {
  return `${form.get('token')} by ${authorization}`
}

/** Every reload brings another secret and another number of connections; the grant stays. */
function settings({ grant }: Setup, introspectUrl: string, tokenUrl: string, reloads: number): KeyManagerConfig {
  return keyManagerSettings(introspectUrl, {
    maxInFlight: 4 + (reloads % 3),
    breaker: { failures: 20, openForMs: 1_000 },
    security: { kind: 'own_token', ownToken: ownTokenOf(grant, tokenUrl, `secret-${reloads}`) },
  })
}

function ownTokenOf(grant: Setup['grant'], url: string, secret: string): OwnTokenConfig {
  const clients = [{ ...basic, username: 'gateway', password: new Secret(secret) }]
  const endpoint = { url, clients, scope: '', resource: [], audience: undefined }
  switch (grant) {
    case 'client_credentials':
      return { grant, endpoint }
    case 'password': {
      const refresh = { ...endpoint, refreshToken: undefined, stateFile: undefined }
      return { grant, endpoint, username: 'user', password: new Secret('password'), refresh }
    }
    case 'direct': {
      const refresh = { ...endpoint, refreshToken: new Secret('refresh-0'), stateFile: undefined }
      return { grant, accessToken: new Secret('access-0'), refresh }
    }
    default:
      return grant satisfies never
  }
}
