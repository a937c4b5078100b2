/** Opens one connection to the key manager: TCP, then TLS, within one time limit. */
import { connect as connectTcp, type LookupFunction, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Clock } from '../authz/ports.ts'
import { ConnectError, translateFailure } from './failure.ts'
import { type TlsOptions, tlsTo } from './tls.ts'

export interface ConnectorOptions {
  readonly tls: TlsOptions
  /** For TCP and TLS together, ms. */
  readonly connectTimeoutMs: number
  readonly clock: Clock
  /** In place of the system's resolver, which is asked at every connection. */
  readonly lookup: LookupFunction | undefined
}

export interface Target {
  readonly protocol: string
  readonly hostname: string
  readonly port: string
}

/** Calls back once: with a usable socket, or with a ConnectError. undici's connector contract. */
export type Connector = (target: Target, done: (...result: [null, Socket] | [Error, null]) => void) => void

/** A connector of our own: undici's measures its timeout to within half a second and reports every failure alike. */
export function createConnector(options: ConnectorOptions): Connector {
  const { tls, clock, connectTimeoutMs } = options
  const lookup = options.lookup === undefined ? {} : { lookup: options.lookup }

  return (target, done) => {
    const host = target.hostname.replace(/^\[|\]$/g, '')
    const secure = target.protocol === 'https:'
    const port = Number(target.port === '' ? (secure ? 443 : 80) : target.port)
    const socket = secure
      ? connectTls({
          ...tlsTo(host, tls),
          ...lookup,
          host,
          port,
          ALPNProtocols: ['http/1.1'],
        })
      : connectTcp({ ...lookup, host, port })
    socket.setNoDelay(true)
    socket.setKeepAlive(true, 30_000)

    let settled = false
    const settle = (...result: [null, Socket] | [Error, null]): void => {
      if (settled) return
      settled = true
      stopTimer()
      done(...result)
    }
    const fail = (error: ConnectError): void => {
      settle(error, null)
      socket.destroy()
    }
    const stopTimer = clock.after(connectTimeoutMs, () => {
      fail(new ConnectError({ kind: 'timeout', detail: `no connection within ${connectTimeoutMs} ms` }, 'ETIMEDOUT'))
    })
    // Stays attached: an error nobody listens to ends the process.
    socket.on('error', (error) => {
      const failure = translateFailure(error)
      fail(new ConnectError(failure, 'ECONNECT'))
    })
    socket.once('close', () => {
      fail(new ConnectError({ kind: 'network', detail: 'connection closed while it was being opened' }, 'ECONNECT'))
    })
    socket.once(secure ? 'secureConnect' : 'connect', () => settle(null, socket))
  }
}
