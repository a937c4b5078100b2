/**
 * One configuration's objects: what decides a Check, from the decoder to the client of the key manager.
 * A reload builds the next one and swaps the reference.
 */
import { isDeepStrictEqual } from 'node:util'
import { createAnswers } from './authz/answers.ts'
import { createAuthorizer } from './authz/authorizer.ts'
import type {
  AnswerCache,
  Authorizer,
  CacheMetrics,
  CheckView,
  Clock,
  Decision,
  Introspector,
  Log,
} from './authz/ports.ts'
import { type AnswerMemory, createAnswerCache, createAnswerMemory } from './cache/answer-cache.ts'
import { createAnswerKey } from './cache/answer-key.ts'
import type { Config } from './config/config.ts'
import { createCheckDecoder } from './envoy/check-request.ts'
import { createReplyEncoder } from './envoy/check-response.ts'
import { clientIdentity, createKeyManager, type KeyManager } from './keymanager/key-manager.ts'
import type { OwnToken } from './keymanager/own-token.ts'
import type { TlsOptions } from './net/tls.ts'
import type { Pipeline } from './server/pipeline.ts'
import type { Metrics } from './telemetry/metrics.ts'

export interface Graph {
  readonly config: Config
  readonly client: KeyManager
  readonly memory: AnswerMemory
  readonly pipeline: Pipeline
  /** Another has taken its place: Checks under way are answered, active answers remembered no more. */
  retire(): void
}

/** What outlives a configuration, and what another process holds for this one. */
export interface GraphDependencies {
  readonly clock: Clock
  readonly metrics: Metrics
  readonly log: Log
  /** Undefined: this process reads its files and obtains its own token itself. */
  readonly given?: GivenToWorker | undefined
}

/** What a worker has from the process above it, and could not find out by itself without holding what it need not. */
export interface GivenToWorker {
  /** The files of `keyManager.tls`, read. */
  readonly tls: TlsOptions
  /** Undefined: the key manager wants none. */
  readonly ownToken: OwnToken | undefined
  /** Who asks, for the store key: it may be derived from a secret that stays with the one that holds the own token. */
  readonly clientIdentity: string
}

/** Throws ConfigurationError where a file of `keyManager.tls` cannot be read. `before`: what it replaces, on a reload. */
export function buildGraph(config: Config, before: Graph | undefined, dependencies: GraphDependencies): Graph {
  const { clock, metrics, log, given } = dependencies
  const client = createKeyManager(
    config.keyManager,
    { clock, metrics, log, ...(given === undefined ? {} : { tls: given.tls, ownToken: given.ownToken }) },
    before?.client,
  )
  // Remembered answers outlive a reload that changes neither who is asked nor for how long an answer is good.
  const memory =
    before !== undefined &&
    isDeepStrictEqual(before.config.caching, config.caching) &&
    isDeepStrictEqual(before.config.keyManager, config.keyManager)
      ? before.memory
      : createAnswerMemory({
          capacity: config.caching.tokenCacheCapacity,
          inactiveCapacity: config.caching.inactiveCapacity,
        })
  const encoder = createReplyEncoder({
    realm: config.extAuthz.realm,
    resourceMetadata: config.extAuthz.resourceMetadata,
    unavailable: config.extAuthz.unavailable,
    credentials: config.credentials,
    upstreamHeaders: config.upstreamHeaders,
    managedHeaders: config.managedHeaders,
    metadataClaims: config.metadata.claims,
  })
  const cache = createAnswerCache(memory, { clock, metrics })
  return {
    config,
    client,
    memory,
    retire: cache.retire,
    pipeline: {
      decode: createCheckDecoder({ credentialsHeader: config.credentials.header }),
      authorizer: authorizerOf(config, { introspector: client, cache, clock, metrics }, given?.clientIdentity),
      encode: (decision, decisionId) => encoder.encode(decision, decisionId),
      timeoutMs: config.keyManager.timeoutMs,
      unavailable: config.extAuthz.unavailable,
    },
  }
}

/** What the operator knows the key manager by: the introspection endpoint, or the metadata that names it. */
export function urlOf({ keyManager }: Config): string {
  return keyManager.introspectUrl ?? keyManager.discoveryUrl ?? ''
}

function authorizerOf(
  config: Config,
  parts: {
    readonly introspector: Introspector
    readonly cache: AnswerCache
    readonly clock: Clock
    readonly metrics: CacheMetrics
  },
  identity = clientIdentity(config.keyManager),
): Authorizer {
  const { clock } = parts
  const { caching, keyManager } = config
  const answers = createAnswers(parts, {
    activeLifeMs: caching.enabled ? caching.tokenCacheExpiryMs : 0,
    inactiveLifeMs: caching.enabled ? caching.inactiveExpiryMs : 0,
    timestampSkewMs: keyManager.timestampSkewMs,
  })
  const keyOf = createAnswerKey({
    keyManager: keyManager.name,
    introspectUrl: urlOf(config),
    clientIdentity: identity,
  })
  return createAuthorizer(
    { answers, clock, keyOf },
    {
      policy: config.policy,
      allowCorsPreflight: config.extAuthz.allowCorsPreflight,
      timestampSkewMs: keyManager.timestampSkewMs,
    },
  )
}

/** One decision with nothing remembered: what `micro-gw-authz introspect` explains. */
export async function decideOnce(
  config: Config,
  { introspector, clock }: { readonly introspector: Introspector; readonly clock: Clock },
  check: CheckView,
): Promise<Decision> {
  const cache: AnswerCache = { peek: () => undefined, load: undefined, remember() {} }
  const metrics: CacheMetrics = { cacheOperation() {}, waiterJoined() {} }
  const authorizer = authorizerOf(config, { introspector, cache, clock, metrics })
  const deadlineMs = clock.monotonicMs() + config.keyManager.timeoutMs
  return await authorizer.authorize(check, deadlineMs, { cancelled: false, whenCancelled: undefined })
}
