/** A key manager that says what the test tells it to, on a real socket, and remembers what it was asked. */
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer, type ServerOptions } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'

/** One request as it arrived. `form` is `body`, decoded. */
export interface ReceivedRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
  readonly form: URLSearchParams
}

/** What to answer: JSON for an object body, the very bytes otherwise. */
export interface ScriptedAnswer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array | object
}

/** Answers a request; writing to `exchange.response` oneself is allowed: then return undefined. */
export type Handler = (
  request: ReceivedRequest,
  exchange: Exchange,
) => ScriptedAnswer | undefined | Promise<ScriptedAnswer | undefined>

/** The raw side of one request, for answers that break the rules. */
export interface Exchange {
  readonly response: ServerResponse
  readonly socket: Socket
  /** How many requests arrived before this one. */
  readonly index: number
}

export interface ScriptedKeyManager {
  /** Where `/introspect` is. */
  readonly url: string
  readonly port: number
  readonly requests: ReceivedRequest[]
  /** Token to introspection answer, consulted while no other answer was set. */
  readonly tokens: Map<string, object>
  /** Connections accepted so far. */
  readonly connections: number
  /** Connections open now. */
  readonly openConnections: number
  /** The most requests that were unanswered at once. */
  readonly mostInFlight: number
  /** Sets the answer for every request from now on; undefined: the default, out of `tokens`. */
  answer(next: Handler | ScriptedAnswer | undefined): void
  /** Breaks every open connection without a word. */
  dropConnections(): void
  close(): Promise<void>
}

export interface KeyManagerOptions {
  /** Key and certificate, PEM; https then. */
  readonly tls?: ServerOptions
  /** 0: any free one. */
  readonly port?: number
  readonly host?: string
}

/** Starts a key manager on loopback. Unless told otherwise a token it does not know is inactive. */
export async function startKeyManager(options: KeyManagerOptions = {}): Promise<ScriptedKeyManager> {
  const requests: ReceivedRequest[] = []
  const tokens = new Map<string, object>()
  const sockets = new Set<Socket>()
  let connections = 0
  let inFlight = 0
  let mostInFlight = 0
  let handler: Handler = (request) => fromTokens(tokens, request)

  const serve = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    inFlight += 1
    mostInFlight = Math.max(mostInFlight, inFlight)
    response.once('close', () => {
      inFlight -= 1
    })
    const request = await receive(message)
    const index = requests.push(request) - 1
    const answer = await handler(request, { response, socket: message.socket, index })
    if (answer !== undefined) send(response, answer)
  }
  const listener = (message: IncomingMessage, response: ServerResponse): void => {
    // A client that hangs up while it is being served is part of the game.
    serve(message, response).catch(() => message.socket.destroy())
  }
  const server =
    options.tls === undefined ? createHttpServer(listener) : createHttpsServer({ ...options.tls }, listener)
  server.on(options.tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
    connections += 1
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('clientError', (_error, socket) => socket.destroy())
  const host = options.host ?? '127.0.0.1'
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, host, resolve)
  })
  const { port } = server.address() as AddressInfo

  return {
    url: `${options.tls === undefined ? 'http' : 'https'}://${host}:${port}/oauth2/introspect`,
    port,
    requests,
    tokens,
    get connections() {
      return connections
    },
    get openConnections() {
      return sockets.size
    },
    get mostInFlight() {
      return mostInFlight
    },
    answer(next) {
      if (next === undefined) handler = (request) => fromTokens(tokens, request)
      else handler = typeof next === 'function' ? next : () => next
    },
    dropConnections() {
      for (const socket of sockets) socket.destroy()
    },
    close() {
      return new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
        for (const socket of sockets) socket.destroy()
      })
    },
  }
}

async function receive(message: IncomingMessage): Promise<ReceivedRequest> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  const body = Buffer.concat(chunks).toString('utf8')
  return {
    method: message.method ?? '',
    path: message.url ?? '',
    headers: message.headers as Record<string, string | undefined>,
    body,
    form: new URLSearchParams(body),
  }
}

function fromTokens(tokens: ReadonlyMap<string, object>, request: ReceivedRequest): ScriptedAnswer {
  return { body: tokens.get(request.form.get('token') ?? '') ?? { active: false } }
}

function send(response: ServerResponse, answer: ScriptedAnswer): void {
  const { body = '' } = answer
  const bytes = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body)
  response.writeHead(answer.status ?? 200, answer.headers ?? { 'content-type': 'application/json' })
  response.end(bytes)
}
