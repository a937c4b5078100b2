/** What the two admin listeners have in common: small GET-only answers over `node:http`. */
import { hash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { HostPort } from '../config/config.ts'

export interface HttpReply {
  readonly status: number
  readonly contentType: string
  /** The one style sheet of a page, as it stands between its tags. */
  readonly style?: string
  readonly body: string
  /** With a 405: RFC 9110 section 15.5.6. */
  readonly allow?: string
}

export const NOT_FOUND: HttpReply = { status: 404, contentType: 'text/plain', body: 'not found\n' }

/** For what should not reach a browser's caches, frames, scripts or other origins. */
const SAFE_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
}

const NOTHING_AT_ALL = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** Nothing may be loaded, run, sent or framed; a page's own style sheet is named by its digest. */
function contentSecurityPolicy(style: string | undefined): string {
  if (style === undefined) return NOTHING_AT_ALL
  return `${NOTHING_AT_ALL}; style-src 'sha256-${hash('sha256', style, 'base64')}'`
}

/** More end the oldest idle one. The process's descriptors belong to Envoy and the key manager: a neighbour must not be able to take them all. */
const MOST_CONNECTIONS = 512

export interface Listening {
  /** `host:port`, IPv6 in brackets. */
  readonly address: string
  close(): Promise<void>
}

/**
 * Serves GET and HEAD by `reply`; anything else is 405. An exception is a 500 without its text.
 * One request at a time on a connection; a pipelined one ends it.
 * @throws Error naming the address where it cannot be bound.
 */
export async function serveHttp(
  listen: HostPort,
  reply: (path: string, request: IncomingMessage) => HttpReply | Promise<HttpReply>,
): Promise<Listening> {
  /** Connections with a request that is not answered yet. */
  const busy = new WeakSet<Socket>()
  const server = createServer({ connectionsCheckingInterval: 2_000 }, (request, response) => {
    const { socket } = request
    // Node reads ahead: of a thousand requests in one packet each would begin, and all but one wait in memory.
    if (busy.has(socket)) return void socket.destroy()
    busy.add(socket)
    response.once('close', () => busy.delete(socket))
    request.resume()
    answer(request, reply)
      .catch((): HttpReply => ({ status: 500, contentType: 'text/plain', body: 'internal error\n' }))
      .then(({ status, contentType, style, body, allow }) => {
        const length = Buffer.byteLength(body)
        response.writeHead(status, {
          ...SAFE_HEADERS,
          'content-security-policy': contentSecurityPolicy(style),
          'content-type': contentType,
          'content-length': length,
          ...(allow === undefined ? {} : { allow }),
        })
        response.end(request.method === 'HEAD' ? undefined : body)
      })
      .catch(() => response.destroy())
  })
  server.headersTimeout = 10_000
  server.requestTimeout = 10_000
  // Whoever does not read the answer either.
  server.setTimeout(15_000)
  const open = new Set<Socket>()
  server.on('connection', (socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    if (open.size <= MOST_CONNECTIONS) return
    // Not the newest, which may be a probe: refusing it would have the container restarted.
    for (const one of open) if (!busy.has(one)) return void one.destroy()
  })
  await bind(server, listen)
  const { address, family, port } = server.address() as AddressInfo
  return {
    address: `${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function answer(
  request: IncomingMessage,
  reply: (path: string, request: IncomingMessage) => HttpReply | Promise<HttpReply>,
): Promise<HttpReply> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, contentType: 'text/plain', body: 'only GET and HEAD\n', allow: 'GET, HEAD' }
  }
  const path = (request.url ?? '/').replace(/[?#].*$/s, '')
  return reply(path, request)
}

function bind(server: Server, { host, port }: HostPort): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(new Error(`cannot listen on ${host}:${port}: ${error.code ?? 'not a usable address'}`))
    })
    server.listen({ host, port }, resolve)
  })
}
