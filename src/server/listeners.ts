/** What the configuration says of the ext_authz listeners, beyond binding them. */
import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import type { Config } from '../config/config.ts'
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
    // Certificates are renewed in place; TLS itself, and asking for client certificates, are not.
    tls: extAuthz.tls === undefined ? 'off' : extAuthz.tls.clientCaFile === undefined ? 'server' : 'mutual',
    admin: admin.listen,
    localAdmin: admin.localListen,
  }
}
