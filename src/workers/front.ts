/** The ext_authz listeners of several workers: the primary binds and accepts, whoever is given the connection serves it. */
import { lookup } from 'node:dns/promises'
import { createServer, isIP, type Server, type Socket } from 'node:net'
import type { ListenAddress } from '../config/config.ts'
import { hostOf } from '../server/listeners.ts'
import { removeStaleSocket, withSocketMode } from '../server/unix-socket.ts'

export interface Front {
  /** `127.0.0.1:PORT` or `unix:/path`, in the order of the configuration. */
  readonly addresses: readonly string[]
  /** Accepts no more; what was accepted stays open. */
  close(): void
}

/** Rejects with an Error that names the address that cannot be bound; nothing stays bound then. */
export async function openFront(
  listen: readonly ListenAddress[],
  socketMode: number,
  accepted: (connection: Socket, listener: number) => void,
): Promise<Front> {
  const servers: Server[] = []
  const close = (): void => {
    for (const server of servers) server.close()
  }
  const create = (listener: number): Server => {
    // Not a byte is read here. Replies are small: Nagle's algorithm would hold them back.
    const server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => accepted(socket, listener))
    servers.push(server)
    return server
  }
  try {
    const addresses: string[] = []
    for (const [listener, one] of listen.entries()) {
      if (one.kind === 'unix') {
        await removeStaleSocket(one.path)
        await withSocketMode(socketMode, () => bind(create(listener), { path: one.path }, `unix:${one.path}`))
        addresses.push(`unix:${one.path}`)
      } else addresses.push(`${hostOf(one)}:${await bindHost(one, () => create(listener))}`)
    }
    return { addresses, close }
  } catch (error) {
    close()
    throw error
  }
}

/** A name may stand for several addresses (`localhost`: IPv4 and IPv6): as with one process, those that can be bound. */
async function bindHost(listen: Extract<ListenAddress, { kind: 'tcp' }>, create: () => Server): Promise<number> {
  const target = `${hostOf(listen)}:${listen.port}`
  const hosts = isIP(listen.host) !== 0 ? [listen.host] : await addressesOf(listen.host, target)
  let port = listen.port
  let failure: unknown
  let bound = 0
  for (const host of hosts) {
    try {
      port = await bind(create(), { host, port }, target)
      bound += 1
    } catch (error) {
      failure = error
    }
  }
  if (bound === 0) throw failure
  return port
}

async function addressesOf(host: string, target: string): Promise<readonly string[]> {
  try {
    return [...new Set((await lookup(host, { all: true })).map(({ address }) => address))]
  } catch {
    throw new Error(`cannot listen on ${target}: not a usable address`)
  }
}

function bind(
  server: Server,
  where: { readonly path: string } | { readonly host: string; readonly port: number },
  target: string,
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(new Error(`cannot listen on ${target}: ${error.code ?? 'not a usable address'}`))
    })
    server.listen(where, () => {
      // One connection that cannot be accepted (EMFILE) is not the end of the listener.
      server.removeAllListeners('error').on('error', () => undefined)
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
}
