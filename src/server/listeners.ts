/** What the configuration says of the ext_authz listeners, beyond binding them. */
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { isDeepStrictEqual } from 'node:util'
import type { Log } from '../authz/ports.ts'
import type { Config, ListenAddress } from '../config/config.ts'
import { ConfigurationError } from '../config/configuration-error.ts'
import type { ServerTls } from './server-tls.ts'

/** Reads the PEM files of `[extAuthz.tls]`; undefined where TLS is off. Throws ConfigurationError naming key and file. */
export function readServerTls({ extAuthz: { tls } }: Config): ServerTls | undefined {
  if (tls === undefined) return undefined
  const pair = { cert: read('certFile', tls.certFile), key: read('keyFile', tls.keyFile) }
  return tls.clientCaFile === undefined ? pair : { ...pair, clientCa: read('clientCaFile', tls.clientCaFile) }
}

function read(key: string, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch {
    throw ConfigurationError.of(`extAuthz.tls.${key}`, `the file cannot be read: ${file}; check its path and mode`)
  }
}

/** Whether `next` asks for listeners other than those that are bound: a reload cannot change them. */
export function needsRestart(bound: Config, next: Config): boolean {
  return !isDeepStrictEqual(listenersOf(bound), listenersOf(next))
}

function listenersOf({ extAuthz, admin }: Config): object {
  return {
    listen: extAuthz.listen,
    socketMode: extAuthz.socketMode,
    workers: extAuthz.workers,
    // Certificates are renewed in place; TLS itself, and asking for client certificates, are not.
    tls: extAuthz.tls === undefined ? 'off' : extAuthz.tls.clientCaFile === undefined ? 'server' : 'mutual',
    admin: admin.listen,
    localAdmin: admin.localListen,
  }
}

const LOOPBACK = /^(?:127(?:\.\d{1,3}){3}|localhost|::1)$/

/** Whether others than this host can reach it. */
export function isRemote(listen: ListenAddress): boolean {
  return listen.kind === 'tcp' && !LOOPBACK.test(listen.host)
}

/** `host:port` as it is written, IPv6 in brackets. */
export function hostOf({ host }: { readonly host: string }): string {
  return host.includes(':') ? `[${host}]` : host
}

/** Said once for each address that was bound. */
export function warnOpenPort(listen: ListenAddress, address: string, tls: ServerTls | undefined, log: Log): void {
  if (!isRemote(listen) || tls?.clientCa !== undefined) return
  const advice =
    'anyone who reaches this port can ask whether a token is valid: bind loopback or a Unix socket, or set extAuthz.tls.clientCaFile'
  log.warn('ext_authz_open_port', { address, advice })
}

/** @throws ConfigurationError where the PEM texts are none or do not fit; its text holds nothing of them. */
export function verifyServerTls({ cert, key, clientCa }: ServerTls): void {
  try {
    createSecureContext({ cert, key, ...(clientCa === undefined ? {} : { ca: clientCa }) })
  } catch {
    throw ConfigurationError.of(
      'extAuthz.tls',
      'certificate and key are not usable together: PEM files that belong to each other?',
    )
  }
}
