/**
 * The only file that calls undici and got. undici's Pool carries `/introspect` (an introspection costs a tenth of
 * got's CPU time); got carries what is rare. Both take the same TLS options; neither follows a redirect, decodes a
 * content encoding, or lets an error of its own out.
 */
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { LookupFunction } from 'node:net'
import type { Duplex } from 'node:stream'
import { Client, type Dispatcher, Pool, ProxyAgent } from 'undici'
import type { Clock } from '../authz/ports.ts'
import { systemClock } from '../clock.ts'
import { isLoopback } from '../config/url.ts'
import { createConnector } from './connector.ts'
import { type AnswerHeaders, Exchange, type HttpAnswer } from './exchange.ts'
import { type CallFailure, translateFailure, wasClosedUnderCall } from './failure.ts'
import { defaultTls, type TlsOptions, tlsTo } from './tls.ts'
import { createTurn } from './turn.ts'

export type { AnswerHeaders, HttpAnswer } from './exchange.ts'

export type HttpResult = HttpAnswer | ({ readonly ok: false } & CallFailure)

export interface PostClient {
  /**
   * One POST to the client's URL. Never rejects. The connection is destroyed where the total time runs out.
   * `bodyAgain`: the body of the retry, where `body` may be sent only once.
   */
  post(headers: Readonly<Record<string, string>>, body: string, bodyAgain?: () => Promise<string>): Promise<HttpResult>
  /** Lets calls under way finish within their own limit, then closes every connection. A later call has one of its own. */
  close(): Promise<void>
}

export interface PostClientOptions {
  readonly url: string
  /** Connections, and so calls at once. */
  readonly connections: number
  /** From sending to the last byte, the retry included, ms. */
  readonly timeoutMs: number
  readonly connectTimeoutMs: number
  /** Bytes of body read at most. */
  readonly maxAnswerSize: number
  readonly tls: TlsOptions
  /** URL of an HTTP proxy, one elsewhere is not used to loopback; undefined: none. */
  readonly proxy: string | undefined
  readonly clock: Clock
  readonly lookup?: LookupFunction
  /** How long a connection may be used, ms; default 30 s: a changed address is in use within a minute. */
  readonly connectionAgeMs?: number
}

const CONNECTION_AGE_MS = 30_000
const IDLE_MS = 10_000

/** Throws where the URL or the proxy's is not one; both are checked when the configuration is read. */
export function createPostClient(options: PostClientOptions): PostClient {
  const { clock, timeoutMs } = options
  const { origin, hostname, pathname, search } = new URL(options.url)
  const proxy = proxyTo(hostname, options.proxy)
  const connectionAgeMs = options.connectionAgeMs ?? CONNECTION_AGE_MS
  // Never longer than the call itself: a connection nobody waits for would hold a place in the pool.
  const connectTimeoutMs = Math.min(options.connectTimeoutMs, timeoutMs)
  const connect = createConnector({ tls: options.tls, connectTimeoutMs, clock, lookup: options.lookup })
  const shared = {
    pipelining: 1,
    allowH2: false,
    // Our own total timer is the only one.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: Math.min(IDLE_MS, connectionAgeMs),
    keepAliveMaxTimeout: connectionAgeMs,
  }
  const pooled = { ...shared, connections: options.connections }
  const createDispatcher = (): Dispatcher =>
    proxy === undefined
      ? new Pool(origin, { ...pooled, connect })
      : new ProxyAgent({
          ...pooled,
          uri: proxy,
          requestTls: tlsTo(hostname, options.tls),
          connectTimeout: connectTimeoutMs,
          // Else a CONNECT without an answer holds its place in the pool for undici's 300 s.
          clientFactory: (proxyOrigin, more) => new Pool(proxyOrigin, { ...more, headersTimeout: connectTimeoutMs }),
        })
  const createFresh = (): Dispatcher =>
    proxy === undefined ? new Client(origin, { ...shared, connect }) : createDispatcher()

  const handOn = createTurn<HttpResult>()
  let dispatcher = createDispatcher()
  let bornAtMs = clock.monotonicMs()
  let isClosed = false
  /** Replaced, and finishing what is under way on them. */
  const retired = new Set<Dispatcher>()
  /** undici's own `clientTtl` reads the clock for every busy connection at every call. */
  const youngDispatcher = (): Dispatcher => {
    if (clock.monotonicMs() - bornAtMs < connectionAgeMs) return dispatcher
    const old = dispatcher
    retired.add(old)
    void closeQuietly(old).then(() => retired.delete(old))
    dispatcher = createDispatcher()
    bornAtMs = clock.monotonicMs()
    return dispatcher
  }

  const post: PostClient['post'] = (headers, body, bodyAgain) =>
    new Promise((resolve) => {
      const request = { origin, path: pathname + search, method: 'POST', headers, body } as const
      const { maxAnswerSize } = options
      let exchange: Exchange
      let fresh: Dispatcher | undefined
      const finish = (result: HttpResult): void => {
        stopTimer()
        if (fresh !== undefined) destroyQuietly(fresh)
        // A refusal or a failure must stop the next call, and that may be read in this very turn.
        if (result.ok && result.status === 200) handOn(resolve, result)
        else resolve(result)
      }
      const stopTimer = clock.after(timeoutMs, () => {
        exchange.abandon()
        finish({ ok: false, kind: 'timeout', detail: `no complete answer within ${timeoutMs} ms` })
      })
      exchange = new Exchange(maxAnswerSize, finish, (error) => {
        if (!wasClosedUnderCall(error)) return finish({ ok: false, ...translateFailure(error) })
        // The server closed a kept connection just as we used it, or broke off: once more, on one surely new.
        exchange = new Exchange(maxAnswerSize, finish, (again) => finish({ ok: false, ...translateFailure(again) }))
        const repeat = (repeated: string): void => {
          // The time ran out while the body was made.
          if (exchange.settled) return
          if (fresh !== undefined) destroyQuietly(fresh)
          fresh = createFresh()
          exchange.send(fresh, { ...request, body: repeated })
        }
        if (bodyAgain === undefined) repeat(body)
        else
          bodyAgain().then(repeat, () => finish({ ok: false, kind: 'network', detail: 'the retry could not be made' }))
      })
      // A reload or discovery replaced this client while a Check was on its way to it: that Check is answered too.
      if (isClosed) fresh = createFresh()
      exchange.send(fresh ?? youngDispatcher(), request)
    })

  return {
    post,
    close() {
      isClosed = true
      const all = [dispatcher, ...retired]
      return new Promise((resolve) => {
        const stopTimer = clock.after(timeoutMs, () => {
          for (const each of all) destroyQuietly(each)
          // undici forgets who waits for its `close` where `destroy` overtakes it.
          setImmediate(resolve)
        })
        void Promise.all(all.map(closeQuietly)).then(() => {
          stopTimer()
          // What arrived in this turn is handed on first.
          setImmediate(resolve)
        })
      })
    },
  }
}

const closeQuietly = (dispatcher: Dispatcher): Promise<void> => dispatcher.close().catch(() => undefined)
const destroyQuietly = (dispatcher: Dispatcher): void => void dispatcher.destroy().catch(() => undefined)

export interface FetchOptions {
  /** From the call to the last byte, ms. */
  readonly timeoutMs: number
  /** Bytes of body at most. */
  readonly maxBytes: number
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly tls?: TlsOptions
  /** URL of an HTTP proxy, one elsewhere is not used to loopback; undefined: none. */
  readonly proxy?: string | undefined
  readonly clock?: Clock
}

export type TextResult =
  | { readonly ok: true; readonly status: number; readonly headers: AnswerHeaders; readonly text: string }
  | { readonly ok: false; readonly kind: CallFailure['kind'] | 'too_large'; readonly detail: string }

/**
 * One rare call, through got, on a connection of its own. Never rejects; any status is an answer. got has no cap on
 * the body and no default timeout: it is read as a stream and cut here.
 */
export async function fetchText(url: string, options: FetchOptions): Promise<TextResult> {
  try {
    // Loaded when first needed: it takes a fifth of the whole start, and without an own token it may never be.
    const { default: got } = await import('got')
    return await new Promise((resolve) => {
      const chunks: Buffer[] = []
      let size = 0
      let status = 0
      let headers: AnswerHeaders = {}
      const agent = createAgents(new URL(url).hostname, options)
      const stream = got.stream(url, {
        method: options.method ?? 'GET',
        headers: { 'accept-encoding': 'identity', ...options.headers },
        ...(options.body === undefined ? {} : { body: options.body }),
        agent,
        followRedirect: false,
        throwHttpErrors: false,
        decompress: false,
        retry: { limit: 0 },
      })
      const stopTimer = (options.clock ?? systemClock).after(options.timeoutMs, () => {
        finish({ ok: false, kind: 'timeout', detail: `no complete answer within ${options.timeoutMs} ms` })
      })
      const finish = (result: TextResult): void => {
        stopTimer()
        resolve(result)
        stream.destroy()
        agent.https.destroy()
      }
      stream.on('response', (response: { statusCode: number; headers: AnswerHeaders }) => {
        status = response.statusCode
        headers = response.headers
      })
      stream.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size <= options.maxBytes) chunks.push(chunk)
        else finish({ ok: false, kind: 'too_large', detail: `the answer is longer than ${options.maxBytes} bytes` })
      })
      stream.on('end', () => finish({ ok: true, status, headers, text: Buffer.concat(chunks).toString('utf8') }))
      stream.on('error', (error) => finish({ ok: false, ...translateFailure(error) }))
      // A GET has no body to wait for.
      if (options.body === undefined && options.method === 'POST') stream.end()
    })
  } catch (error) {
    return { ok: false, ...translateFailure(error) }
  }
}

/** got has no proxy option; the agents of Node have one, in the shape of environment variables. */
function createAgents(hostname: string, options: FetchOptions): { http: HttpAgent; https: HttpsAgent } {
  const proxy = proxyTo(hostname, options.proxy)
  const proxied = proxy === undefined ? {} : { proxyEnv: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy } }
  const timeout = options.timeoutMs
  const tls = tlsTo(hostname, options.tls ?? defaultTls)
  return { http: new HttpAgent(proxied), https: new ReachableAgent({ timeout, ...tls, ...proxied }) }
}

/** Neither got's `destroy` nor Node's reaches a socket that waits for a proxy, or for TLS behind one. */
class ReachableAgent extends HttpsAgent {
  readonly #opened: Duplex[] = []

  override createConnection(...how: Parameters<HttpsAgent['createConnection']>): Duplex | null | undefined {
    const socket = super.createConnection(...how)
    if (socket) this.#opened.push(socket)
    return socket
  }

  override destroy(): void {
    for (const socket of this.#opened) socket.destroy()
    super.destroy()
  }
}

/** From one elsewhere none to loopback: plain http is allowed there because it does not leave the host. */
function proxyTo(hostname: string, proxy: string | undefined): string | undefined {
  if (proxy === undefined || !isLoopback(hostname)) return proxy
  return isLoopback(new URL(proxy).hostname) ? proxy : undefined
}
