/** What a worker needs to answer Checks as the primary's configuration says, in a form that survives the channel. */
import type { Config, ListenAddress } from '../config/config.ts'
import { Secret } from '../config/secret.ts'
import type { TlsOptions } from '../net/tls.ts'
import type { ServerTls } from '../server/server-tls.ts'
import type { PassedToken } from './messages.ts'

export interface Setup {
  /** Counts the configurations put in force. */
  readonly generation: number
  readonly config: Config
  /** What the primary has bound: a reload does not change it. */
  readonly listen: readonly ListenAddress[]
  /** For connections to come; undefined: the listeners are without TLS. */
  readonly serverTls: ServerTls | undefined
  readonly keyManagerTls: TlsOptions
  readonly clientIdentity: string
  /** Undefined: the key manager wants none. `source`: which grant it comes by. */
  readonly ownToken: { readonly source: number; readonly token: PassedToken | undefined } | undefined
  readonly decisionIdPrefix: string
  /** What the health service says: false once a drain was announced by it. */
  readonly isServing: boolean
}

export type PackedSetup = Omit<Setup, 'config'> & { readonly config: unknown }

/** No key of a configuration begins like this. */
const SECRET = '\u0000secret'

/**
 * What the own token is obtained by stays behind: a worker never asks for one. Files are not named but sent: what a
 * worker that is started later would find in them need not be what is in force.
 */
export function packSetup(setup: Setup): PackedSetup {
  return { ...setup, config: pack(setup.config, true) }
}

export function unpackSetup(packed: PackedSetup): Setup {
  // It was a Config when the primary packed it: the same program, the same version.
  return { ...packed, config: unpack(packed.config) as Config }
}

function pack(value: unknown, withSecrets: boolean): unknown {
  if (value instanceof Secret) return { [SECRET]: withSecrets ? value.reveal() : '' }
  if (Array.isArray(value)) return value.map((one) => pack(one, withSecrets))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, pack(member, withSecrets && name !== 'ownToken')]),
  )
}

function unpack(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unpack)
  if (typeof value !== 'object' || value === null) return value
  if (SECRET in value) return new Secret(String(value[SECRET]))
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, unpack(member)]))
}
