/** The one set of TLS options for every call to the key manager, whichever HTTP stack makes it. */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import type { KeyManagerTls } from '../config/config.ts'

/** What `node:tls`, undici's connector and got's agent all take. */
export interface TlsOptions extends SecureContextOptions {
  readonly rejectUnauthorized: boolean
  /** The name sent (SNI) and checked in place of the URL's host. */
  readonly servername?: string
}

/** Verification on, TLS 1.2 and Node's authorities: for calls that have no configuration of their own. */
export const defaultTls: TlsOptions = { rejectUnauthorized: true, minVersion: 'TLSv1.2' }

/**
 * Reads the files named by `keyManager.tls`, once, at start and at each reload. `caFile` replaces Node's
 * authorities: the list of Mozilla that it brings along, and NODE_EXTRA_CA_CERTS. Throws an Error naming the key where
 * a file cannot be read; never the file's content.
 */
export function readTlsOptions(config: KeyManagerTls): TlsOptions {
  return {
    rejectUnauthorized: !config.insecure,
    minVersion: config.minVersion,
    ...(config.caFile === undefined ? {} : { ca: readPem(config.caFile, 'caFile') }),
    ...(config.certFile === undefined ? {} : { cert: readPem(config.certFile, 'certFile') }),
    ...(config.keyFile === undefined ? {} : { key: readPem(config.keyFile, 'keyFile') }),
    ...(config.serverName === undefined ? {} : { servername: config.serverName }),
  }
}

/** With the name to send (SNI) and to check, where none is configured: for an address none (RFC 6066 section 3). */
export function tlsTo(hostname: string, tls: TlsOptions): TlsOptions {
  if (tls.servername !== undefined || isIP(hostname.replace(/^\[|\]$/g, '')) !== 0) return tls
  // RFC 6066 section 3: without the trailing dot of an absolute name, with which Go's servers refuse the handshake.
  return { ...tls, servername: hostname.replace(/\.$/, '') }
}

function readPem(file: string, key: string): Buffer {
  try {
    return readFileSync(file)
  } catch {
    throw new Error(`keyManager.tls.${key} cannot be read`)
  }
}
