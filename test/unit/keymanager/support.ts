/** An introspector with defaults, and what it counted and logged. */
import type { Clock, Interest, Introspected } from '../../../src/authz/ports.ts'
import { systemClock } from '../../../src/clock.ts'
import type { ClientSecurity, KeyManagerConfig, KeyManagerTls } from '../../../src/config/config.ts'
import { Secret } from '../../../src/config/secret.ts'
import { createCallGate } from '../../../src/keymanager/call-gate.ts'
import { createIntrospector, type KeyManagerClient } from '../../../src/keymanager/introspector.ts'
import type { OwnToken, Taken } from '../../../src/keymanager/own-token.ts'
import type { HttpResult } from '../../../src/net/http.ts'

export const plainTls: KeyManagerTls = {
  caFile: undefined,
  certFile: undefined,
  keyFile: undefined,
  minVersion: 'TLSv1.2',
  serverName: undefined,
  insecure: false,
}

export const basic: Extract<ClientSecurity, { kind: 'basic' }> = {
  kind: 'basic',
  username: 'admin@carbon.super',
  password: new Secret('canary%secret'),
  encoding: 'raw',
  method: 'header',
}

export function keyManagerSettings(url: string, changes: Partial<KeyManagerConfig> = {}): KeyManagerConfig {
  return {
    name: 'default',
    introspectUrl: url,
    discoveryUrl: undefined,
    allowInsecure: false,
    timeoutMs: 2_000,
    connectTimeoutMs: 1_000,
    maxInFlight: 16,
    maxWaiting: 100,
    maxAnswerSize: 65_536,
    tokenTypeHint: undefined,
    startupProbe: true,
    proxy: undefined,
    lenientExp: false,
    timestampSkewMs: 5_000,
    tls: plainTls,
    breaker: { failures: 5, openForMs: 1_000 },
    security: { kind: 'none' },
    ...changes,
  }
}

export interface Observed {
  readonly client: KeyManagerClient
  /** Outcomes as the metric counted them. */
  readonly counted: string[]
  readonly breakerStates: string[]
  /** Everything logged, as JSON text. */
  readonly logged: string[]
  ask(token?: string, interest?: Interest): Promise<Introspected>
}

export function observe(url: string, changes: Partial<KeyManagerConfig> = {}, clock: Clock = systemClock): Observed {
  const counted: string[] = []
  const breakerStates: string[] = []
  const logged: string[] = []
  const line = (event: string, fields?: Readonly<Record<string, unknown>>): void => {
    logged.push(JSON.stringify({ event, ...fields }))
  }
  const settings = keyManagerSettings(url, changes)
  const dependencies = {
    clock,
    log: { debug: line, info: line, warn: line, error: line },
    metrics: {
      introspection: (outcome: string) => counted.push(outcome),
      introspectionsInFlight: () => undefined,
      breaker: (state: string) => breakerStates.push(state),
    },
  }
  const gate = createCallGate(settings, dependencies)
  gate.takeOver()
  const client = createIntrospector(settings, { ...dependencies, gate })
  return {
    client,
    counted,
    breakerStates,
    logged,
    ask: (token = 'canary-token', interest = { wanted: true, whenLost: undefined }) =>
      client.introspect(token, interest),
  }
}

/** `unavailable/timeout` or the bare kind: what a test asserts. */
export function named(outcome: Introspected): string {
  return outcome.kind === 'unavailable' ? `unavailable/${outcome.cause}` : outcome.kind
}

export const ACTIVE: HttpResult = {
  ok: true,
  status: 200,
  oversized: false,
  headers: { 'content-type': 'application/json' },
  body: Buffer.from('{"active":true}'),
}
export const FAILED: HttpResult = { ok: false, kind: 'network', detail: 'refused' }
export const TOKEN: Taken = { kind: 'token', token: { value: 'own', expiresAtMs: Number.POSITIVE_INFINITY } }
export const NONE: Taken = { kind: 'unavailable', pausedForMs: 0, retryAfterMs: 0, detail: 'no own token' }

/** One that hands out what `take` says, and has nothing else when that is refused. */
export function ownTokenOf(take: OwnToken['take']): OwnToken {
  return {
    take,
    refused: async () => NONE,
    obtained: Promise.resolve(),
    status: () => ({ state: 'fresh', expiresAt: undefined, nextAttemptInMs: undefined, lastError: undefined }),
    use: () => undefined,
    close: () => undefined,
  }
}
