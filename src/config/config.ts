/**
 * The configuration after reading: total, deeply frozen, every unit settled. Nothing in it is optional by accident:
 * `undefined` always means "switched off".
 */
import type { PolicySettings } from '../authz/ports.ts'
import type { Secret } from './secret.ts'

export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export interface HostPort {
  readonly host: string
  readonly port: number
}

/** How the sidecar authenticates to `/introspect`. A union, so that two schemes at once cannot be written. */
export type ClientSecurity =
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
  readonly introspectUrl: string
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
    }
  | { readonly ok: false; readonly problems: readonly Problem[]; readonly files: readonly string[] }
