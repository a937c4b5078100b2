/** The ext_authz gRPC server: binds TCP, TLS or a Unix socket, drains, stops. What a call becomes is in `check-handler.ts`. */
import type { Socket } from 'node:net'
import { logVerbosity, Server, ServerCredentials, type ServerOptions, setLogVerbosity } from '@grpc/grpc-js'
import type { ListenAddress } from '../config/config.ts'
import { authorizationService, healthService } from '../envoy/definition.ts'
import { type CheckHandlerDependencies, createCheckHandler } from './check-handler.ts'
import type { HealthService } from './health.ts'
import { setHttp2Options } from './http2-options.ts'
import { hostOf, isRemote, warnOpenPort } from './listeners.ts'
import { createServerTls, type RenewableCredentials, type ServerTls } from './server-tls.ts'
import { removeStaleSocket, withSocketMode } from './unix-socket.ts'

/** Product contract section 5. channelz is on by default and halves the throughput. */
const OPTIONS: ServerOptions = {
  'grpc.enable_channelz': 0,
  'grpc.max_concurrent_streams': 1024,
  'grpc.max_receive_message_length': 16 * 1024 * 1024,
}

/** Behind a load balancer connections must come round; a sidecar's own Envoy would only be disturbed. */
const REMOTE_OPTIONS: ServerOptions = {
  ...OPTIONS,
  'grpc.max_connection_age_ms': 30 * 60 * 1000,
  'grpc.max_connection_age_grace_ms': 10 * 1000,
}

/** For the last replies to leave after a drain ran out of time, and for sockets to close. */
const ABANDON_MS = 250

export interface BindOptions {
  /** Octal mode of a Unix socket's file. */
  readonly socketMode: number
  readonly tls: ServerTls | undefined
}

export interface GrpcServer {
  /** Resolves with `127.0.0.1:PORT` or `unix:/path`; rejects with an Error that names the address. */
  bind(listen: ListenAddress, options: BindOptions): Promise<string>
  /** For connections to `listen` that another process accepted and hands over: nothing is bound here. */
  receive(listen: ListenAddress, tls: ServerTls | undefined): (connection: Socket) => void
  /** Certificates for connections to come, on every TLS listener. */
  renewTls(tls: ServerTls): void
  /** Checks that wait for an answer. */
  inFlight(): number
  /** Stops accepting, finishes what is in flight for at most `timeoutMs`; what waits then is denied. */
  drain(timeoutMs: number): Promise<void>
  /** At once: what is in flight is reset. */
  stop(): Promise<void>
}

export function createGrpcServer(
  dependencies: CheckHandlerDependencies & { readonly health: HealthService },
): GrpcServer {
  const { health, clock, log } = dependencies
  // It writes foreign text to standard error; what matters of it becomes errors of ours.
  setLogVerbosity(logVerbosity.NONE)
  const handler = createCheckHandler(dependencies)
  // One grpc-js server a listener: the connection age is an option of the whole server.
  const open: { readonly server: Server; readonly drain: (graceMs: number) => void }[] = []
  /** Each received connection's end: grpc-js waits for those alone that its own listeners accepted. */
  const received = new Set<Promise<void>>()
  const renewables: RenewableCredentials[] = []

  function createServer(listen: ListenAddress): Server {
    const server = new Server(isRemote(listen) ? REMOTE_OPTIONS : OPTIONS)
    setHttp2Options(server)
    server.addService(authorizationService, { Check: handler.handle })
    server.addService(healthService, { ...health.implementation })
    return server
  }

  function credentialsFor(tls: ServerTls | undefined): ServerCredentials {
    if (tls === undefined) return ServerCredentials.createInsecure()
    const renewable = createServerTls(tls)
    renewables.push(renewable)
    return renewable.credentials
  }

  /**
   * Resolves when everything is closed. What is still open after `graceMs` is destroyed: with channelz off, grpc-js 1.14
   * forgets its sessions in forceShutdown, and its drain only ends those that were not yet closing: so it comes first.
   */
  async function close(graceMs: number): Promise<void> {
    health.close()
    for (const { drain } of open) drain(graceMs)
    await Promise.all([...open.map(({ server }) => shutDown(server)), ...received])
  }

  /** tryShutdown can hang on a stuck session. */
  async function within(ms: number, work: Promise<void>): Promise<void> {
    let cancelTimer: () => void = () => {}
    const timeout = new Promise<void>((resolve) => {
      cancelTimer = clock.after(ms, resolve)
    })
    await Promise.race([work, timeout])
    cancelTimer()
  }

  return {
    async bind(listen, { socketMode, tls }) {
      const server = createServer(listen)
      const credentials = credentialsFor(tls)
      if (listen.kind === 'unix') {
        const target = `unix:${listen.path}`
        await removeStaleSocket(listen.path)
        await withSocketMode(socketMode, () => bindOne(server, target, credentials))
        open.push({ server, drain: (graceMs) => server.drain(target, graceMs) })
        return target
      }
      const host = hostOf(listen)
      const port = await bindOne(server, `${host}:${listen.port}`, credentials)
      const address = `${host}:${port}`
      open.push({ server, drain: (graceMs) => server.drain(address, graceMs) })
      warnOpenPort(listen, address, tls, log)
      return address
    },
    receive(listen, tls) {
      const server = createServer(listen)
      const injector = server.createConnectionInjector(credentialsFor(tls))
      open.push({ server, drain: injector.drain })
      return (connection) => {
        const closed = new Promise<void>((resolve) => connection.once('close', () => resolve()))
        received.add(closed)
        void closed.then(() => received.delete(closed))
        injector.injectConnection(connection)
      }
    },
    renewTls(tls) {
      for (const renewable of renewables) renewable.renew(tls)
    },
    inFlight: handler.inFlight,
    async drain(timeoutMs) {
      const closed = close(timeoutMs + ABANDON_MS)
      await within(timeoutMs, closed)
      handler.abandon()
      await within(ABANDON_MS, closed)
      for (const { server } of open) server.forceShutdown()
    },
    async stop() {
      const closed = close(0)
      for (const { server } of open) server.forceShutdown()
      await within(ABANDON_MS, closed)
    },
  }
}

function bindOne(server: Server, target: string, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(target, credentials, (error, port) => {
      if (error === null) resolve(port)
      else reject(new Error(`cannot listen on ${target}: ${reasonOf(error)}`))
    })
  })
}

/** grpc-js wraps the system's reason: `... errors: [listen EADDRINUSE: address already in use ...]`. */
function reasonOf(error: Error): string {
  return /\bE[A-Z]{3,}\b/.exec(error.message)?.[0] ?? 'not a usable address'
}

function shutDown(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.tryShutdown(() => resolve())
  })
}
