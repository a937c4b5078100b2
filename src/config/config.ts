/**
 * The configuration after reading: total, deeply frozen, every unit settled. Nothing in it is optional by accident:
 * `undefined` always means "switched off".
 */
import type { PolicySettings } from '../authz/ports.ts'
import type { Effective } from './effective.ts'
import type { Secret } from './secret.ts'

export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export interface HostPort {
  readonly host: string
  readonly port: number
}

/** How a client authenticates at one endpoint. A union, so that two methods at once cannot be written. */
export type ClientMethod =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'basic'
      readonly username: string
      readonly password: Secret
      /** `raw`: RFC 7617; `form`: RFC 6749 section 2.3.1. */
      readonly encoding: 'raw' | 'form'
      /** `post`: client_id and client_secret in the body. */
      readonly method: 'header' | 'post'
    }
  /** RFC 7523 section 2.2: a signed assertion in the body. */
  | {
      readonly kind: 'private_key_jwt' | 'client_secret_jwt'
      readonly clientId: string
      /** PEM private key, or the client secret. */
      readonly key: Secret
      /** JWS algorithm, such as `RS256`. */
      readonly alg: string
      readonly keyId: string | undefined
      /** `aud`; undefined: the URL of the endpoint that is called. */
      readonly audience: string | undefined
    }
  /** RFC 8705 section 2: the certificate of `keyManager.tls`, client_id in the body. */
  | { readonly kind: 'tls_client_auth'; readonly clientId: string }

/** How the sidecar authenticates to `/introspect`: as a client, or by an access token of its own. */
export type ClientSecurity = ClientMethod | { readonly kind: 'own_token'; readonly ownToken: OwnTokenConfig }

/** What one token request needs beside its grant. */
export interface TokenEndpointConfig {
  /** Undefined: `token_endpoint` of the discovered metadata. */
  readonly url: string | undefined
  /** One, or during a rotation of the secret two: the second after `invalid_client`. */
  readonly clients: readonly ClientMethod[]
  /** Space separated; '' asks for none. */
  readonly scope: string
  /** RFC 8707; none: empty. */
  readonly resource: readonly string[]
  readonly audience: string | undefined
}

export interface RefreshConfig extends TokenEndpointConfig {
  /** The first refresh token; undefined with the password grant, whose answer brings it. */
  readonly refreshToken: Secret | undefined
  /** Where a rotated refresh token survives a restart; undefined: nowhere. */
  readonly stateFile: string | undefined
}

/** The own token's grant: [keymanager.security.oauth2]. */
export type OwnTokenConfig =
  | { readonly grant: 'client_credentials'; readonly endpoint: TokenEndpointConfig }
  | {
      readonly grant: 'password'
      readonly endpoint: TokenEndpointConfig
      readonly username: string
      readonly password: Secret
      readonly refresh: RefreshConfig | undefined
    }
  | { readonly grant: 'direct'; readonly accessToken: Secret | undefined; readonly refresh: RefreshConfig | undefined }

export interface KeyManagerTls {
  readonly caFile: string | undefined
  readonly certFile: string | undefined
  readonly keyFile: string | undefined
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  readonly serverName: string | undefined
  /** True: the certificate is not verified. Loudly logged. */
  readonly insecure: boolean
}

export interface KeyManagerConfig {
  /** Part of the store key; `default` until several key managers exist. */
  readonly name: string
  /** Undefined: `introspection_endpoint` of the discovered metadata. */
  readonly introspectUrl: string | undefined
  /** RFC 8414 metadata; undefined: every URL is written. */
  readonly discoveryUrl: string | undefined
  /** True: plain http off loopback is allowed. */
  readonly allowInsecure: boolean
  readonly timeoutMs: number
  readonly connectTimeoutMs: number
  readonly maxInFlight: number
  readonly maxWaiting: number
  readonly maxAnswerSize: number
  readonly tokenTypeHint: string | undefined
  readonly startupProbe: boolean
  readonly proxy: string | undefined
  readonly lenientExp: boolean
  readonly timestampSkewMs: number
  readonly tls: KeyManagerTls
  readonly breaker: { readonly failures: number; readonly openForMs: number }
  readonly security: ClientSecurity
}

export interface Config {
  readonly extAuthz: {
    readonly listen: readonly ListenAddress[]
    /** Octal mode of Unix sockets, as a number (0o660). */
    readonly socketMode: number
    /** Processes that answer Checks; `auto`: as many as the machine lets run at once. */
    readonly workers: number | 'auto'
    readonly realm: string
    readonly unavailable: 'deny' | 'error'
    readonly drainDelayMs: number
    readonly drainTimeoutMs: number
    readonly drainHealth: boolean
    readonly allowCorsPreflight: boolean
    readonly resourceMetadata: string | undefined
    readonly tls:
      | { readonly certFile: string; readonly keyFile: string; readonly clientCaFile: string | undefined }
      | undefined
  }
  readonly admin: {
    readonly listen: HostPort
    readonly localListen: HostPort | undefined
    /** False: `/metrics` answers 404. */
    readonly metrics: boolean
  }
  readonly keyManager: KeyManagerConfig
  readonly caching: {
    readonly enabled: boolean
    readonly tokenCacheExpiryMs: number
    readonly tokenCacheCapacity: number
    readonly inactiveExpiryMs: number
    readonly inactiveCapacity: number
  }
  readonly credentials: {
    /** Lower-case header name. */
    readonly header: string
    /** Whether it is removed before the upstream. */
    readonly remove: boolean
  }
  /** Effective list, defaults included; lower-case header names, no empty claims. */
  readonly upstreamHeaders: readonly { readonly header: string; readonly claim: string }[]
  /** Every header this sidecar could set by default or configuration, those switched off included: a client may supply none. */
  readonly managedHeaders: readonly string[]
  readonly metadata: { readonly claims: readonly string[] }
  readonly log: {
    readonly level: 'debug' | 'info' | 'warn' | 'error'
    readonly allow: boolean
    readonly maxDenyPerSecond: number
  }
  readonly policy: PolicySettings
}

/** One thing wrong with, or worth saying about, the configuration. */
export interface Problem {
  readonly severity: 'error' | 'warning' | 'notice'
  /** Dotted key path, table name, environment variable or '' for the whole file. */
  readonly key: string
  /** From 1; undefined where not known. */
  readonly line: number | undefined
  /** What is wrong and what to do, one sentence or two; never a secret. */
  readonly message: string
}

/** What reading produced: a configuration, or errors. Warnings and notices come with both. */
export type Loaded =
  | {
      readonly ok: true
      readonly config: Config
      readonly problems: readonly Problem[]
      /** Files whose change means a reload: the configuration, `@file:` references, certificates, keys. */
      readonly files: readonly string[]
      /** Of what was in them when they were read (`digestOf`): what they are watched against. */
      readonly content: string
      /** What counts and where it comes from; made when asked for. */
      readonly effective: () => Effective
    }
  | { readonly ok: false; readonly problems: readonly Problem[]; readonly files: readonly string[] }
