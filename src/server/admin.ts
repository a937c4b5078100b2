/**
 * The two admin listeners of the product contract section 5. What kubelet and Prometheus need is reachable from outside the
 * pod, and nothing else; what tells about configuration and requests answers on loopback only.
 */
import type { IncomingMessage } from 'node:http'
import { systemClock } from '../clock.ts'
import type { HostPort } from '../config/config.ts'
import type { Effective } from '../config/effective.ts'
import { shownUrl } from '../config/url.ts'
import type { RecentDeny } from '../telemetry/decision-log.ts'
import { visibleJson } from '../telemetry/visible-json.ts'
import { type HttpReply, NOT_FOUND, serveHttp } from './http-reply.ts'
import type { Status } from './status.ts'

/** Of this process, or merged from several: then it has to be waited for. */
type Awaitable<T> = T | Promise<T>

/** What `/metrics` asks for. */
export interface AdminMetrics {
  exposition(): Promise<{ readonly contentType: string; readonly body: string }>
}

/** What `/decisions` asks for. */
export interface AdminDecisions {
  /** Newest first. */
  recent(): Awaitable<readonly RecentDeny[]>
  find(decisionId: string): Awaitable<RecentDeny | undefined>
}

export interface AdminOptions {
  readonly listen: HostPort
  /** Undefined: no local listener. */
  readonly localListen: HostPort | undefined
  /** Undefined, or false when called: `/metrics` is 404. */
  readonly metrics: AdminMetrics | undefined
  /** Asked at each scrape, so that a reload can switch it; default true. */
  readonly metricsEnabled?: () => boolean
  /** Configuration loaded, listener bound, not draining. The key manager is no part of it. */
  readonly ready: () => boolean
  /** Redacted: secrets print themselves as `[redacted]`. */
  readonly config: () => object
  /** The same key by key with its sources, for the status page; undefined: not shown. */
  readonly configuration?: () => Effective
  readonly status: () => Awaitable<Status>
  readonly decisions: AdminDecisions
}

export interface Admin {
  /** `host:port` as bound. */
  readonly address: string
  readonly localAddress: string | undefined
  close(): Promise<void>
}

/** Rejects with an Error that names the address that cannot be bound; nothing stays bound then. */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const expose = shareScrape()
  const admin = await serveHttp(options.listen, (path) => replyOutside(options, path, expose))
  if (options.localListen === undefined) {
    return { address: admin.address, localAddress: undefined, close: admin.close }
  }
  try {
    const local = await serveHttp(options.localListen, (path, request) => replyLocal(options, path, request))
    return {
      address: admin.address,
      localAddress: local.address,
      close: async () => {
        await Promise.all([admin.close(), local.close()])
      },
    }
  } catch (error) {
    await admin.close()
    throw error
  }
}

type Scrape = (metrics: AdminMetrics) => ReturnType<AdminMetrics['exposition']>

/** Scrapes at the same time get the same exposition: anyone who can reach this port may ask, and each takes milliseconds. */
function shareScrape(): Scrape {
  let underWay: ReturnType<AdminMetrics['exposition']> | undefined
  return (metrics) => {
    underWay ??= metrics.exposition().finally(() => {
      underWay = undefined
    })
    return underWay
  }
}

async function replyOutside(options: AdminOptions, path: string, expose: Scrape): Promise<HttpReply> {
  switch (path) {
    case '/livez':
      return { status: 200, contentType: 'text/plain', body: 'ok\n' }
    case '/readyz':
      return options.ready()
        ? { status: 200, contentType: 'text/plain', body: 'ready\n' }
        : { status: 503, contentType: 'text/plain', body: 'not ready\n' }
    case '/metrics': {
      if (options.metrics === undefined || options.metricsEnabled?.() === false) return NOT_FOUND
      const { contentType, body } = await expose(options.metrics)
      return { status: 200, contentType, body }
    }
    default:
      return NOT_FOUND
  }
}

async function replyLocal(options: AdminOptions, path: string, request: IncomingMessage): Promise<HttpReply> {
  if (!isLoopbackHost(request.headers.host)) {
    return { status: 421, contentType: 'text/plain', body: 'ask for a loopback name\n' }
  }
  switch (path) {
    case '/':
      return statusPage(options)
    case '/config':
      return json(options.config())
    case '/status':
      return json(await options.status())
    case '/decisions':
      return json({ decisions: await options.decisions.recent() })
    default: {
      const id = /^\/decisions\/([0-9a-f]{8}-\d{12})$/.exec(path)?.[1]
      const found = id === undefined ? undefined : await options.decisions.find(id)
      return found === undefined ? NOT_FOUND : json(found)
    }
  }
}

/** Loaded when first asked for: only people read it, and its number format alone takes 10 ms to make. */
async function statusPage(options: AdminOptions): Promise<HttpReply> {
  const [{ renderStatusPage }, { STATUS_STYLE }] = await Promise.all([
    import('./status-page.ts'),
    import('./status-style.ts'),
  ])
  return {
    status: 200,
    contentType: 'text/html; charset=utf-8',
    style: STATUS_STYLE,
    body: renderStatusPage({
      status: await options.status(),
      denies: await options.decisions.recent(),
      configuration: options.configuration?.(),
      nowMs: systemClock.wallMs(),
    }),
  }
}

function json(value: object): HttpReply {
  const shown = (_: string, member: unknown): unknown => (typeof member === 'string' ? shownUrl(member) : member)
  return { status: 200, contentType: 'application/json', body: `${visibleJson(JSON.stringify(value, shown, 2))}\n` }
}

/** Against DNS rebinding: a page elsewhere cannot make a browser send one of these names. */
function isLoopbackHost(host: string | undefined): boolean {
  if (host === undefined) return false
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i.test(host)
}
