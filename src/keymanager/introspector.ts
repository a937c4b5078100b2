/**
 * The request half of introspection: a bounded queue, the breaker and an honoured 429 in front of one POST. Nothing
 * here rejects: whatever goes wrong is an outcome, and none of them allows.
 */
import type { Clock, Interest, Introspected, IntrospectionMetrics, Introspector, Log } from '../authz/ports.ts'
import type { KeyManagerConfig } from '../config/config.ts'
import { createBreaker, type Verdict } from '../net/breaker.ts'
import { createPostClient, type PostClient } from '../net/http.ts'
import { readTlsOptions } from '../net/tls.ts'
import { createClientAuthentication } from './client-authentication.ts'
import { createFailureLog } from './failure-log.ts'
import { readIntrospectionAnswer } from './introspection-answer.ts'
import { type ProbeResult, probeKeyManager } from './probe.ts'

export interface KeyManagerClient extends Introspector {
  /** Introspects one random token past queue, breaker and metrics, and says what that means. Never rejects. */
  probe(): Promise<ProbeResult>
  status(): KeyManagerStatus
  /** Calls under way finish within `keyManager.timeout`; then the connections are closed. */
  close(): Promise<void>
}

export interface KeyManagerStatus {
  readonly breaker: 'closed' | 'open' | 'half_open'
  readonly inFlight: number
  readonly waiting: number
  /** What went wrong last, in our own words; undefined after a good answer. */
  readonly lastError: string | undefined
}

export interface IntrospectorDependencies {
  readonly clock: Clock
  readonly metrics: IntrospectionMetrics
  readonly log: Log
  /** In place of the one over the network. */
  readonly http?: PostClient
}

interface Waiting {
  readonly token: string
  readonly interest: Interest
  readonly resolve: (outcome: Introspected) => void
}

/** Throws where a file of `keyManager.tls` cannot be read, naming its key. */
export function createIntrospector(
  settings: KeyManagerConfig,
  dependencies: IntrospectorDependencies,
): KeyManagerClient {
  const { clock, metrics, log } = dependencies
  const http = dependencies.http ?? createHttp(settings, clock)
  const authenticate = createClientAuthentication(settings.security)
  const authenticated = settings.security.kind !== 'none'
  const failures = createFailureLog(log, clock)
  // Insertion order is the queue; leaving it from the middle costs nothing.
  const queue = new Set<Waiting>()
  let inFlight = 0
  let throttledUntilMs = Number.NEGATIVE_INFINITY

  const breaker = createBreaker({
    failures: settings.breaker.failures,
    openForMs: settings.breaker.openForMs,
    now: clock.monotonicMs,
    onChange(state) {
      metrics.breaker(state)
      log.warn('breaker_changed', { state, keyManager: settings.name, lastError: failures.last() })
    },
  })
  metrics.breaker(breaker.state)

  /** One call, whatever queue and breaker think of it. */
  const call = async (token: string): Promise<Introspected> => {
    try {
      const form = new URLSearchParams({ token })
      if (settings.tokenTypeHint !== undefined) form.set('token_type_hint', settings.tokenTypeHint)
      const headers: Record<string, string> = {
        accept: 'application/json',
        'accept-encoding': 'identity',
        'content-type': 'application/x-www-form-urlencoded',
      }
      authenticate({ headers, form })
      const result = await http.post(headers, form.toString())
      if (!result.ok) return { kind: 'unavailable', cause: result.kind, retryAfterMs: 0, detail: result.detail }
      const options = { lenientExp: settings.lenientExp, authenticated, nowWallMs: clock.wallMs() }
      return readIntrospectionAnswer(result, options)
    } catch {
      // Fail closed: an answer that could not be read is none. The error may hold the token, so it goes no further.
      return { kind: 'unavailable', cause: 'network', retryAfterMs: 0, detail: 'the call failed unexpectedly' }
    }
  }

  const run = async ({ token, resolve }: Waiting): Promise<void> => {
    const refused = refusal()
    if (refused !== undefined) return resolve(refused)
    const admission = breaker.admit()
    if (!admission.admitted) return resolve(reject('the breaker is open', admission.retryAfterMs))

    inFlight += 1
    metrics.introspectionsInFlight(inFlight)
    const sentAtMs = clock.monotonicMs()
    const outcome = await call(token)
    inFlight -= 1
    metrics.introspectionsInFlight(inFlight)
    const verdict = judge(outcome)
    failures.note(outcome)
    if (outcome.kind === 'unavailable' && outcome.cause === 'throttled') {
      throttledUntilMs = Math.max(throttledUntilMs, clock.monotonicMs() + outcome.retryAfterMs)
    }
    breaker.settle(admission.probe, verdict)
    metrics.introspection(label(outcome), (clock.monotonicMs() - sentAtMs) / 1_000)
    resolve(outcome)
    startWaiting()
  }

  const reject = (detail: string, retryAfterMs: number): Introspected => {
    metrics.introspection('rejected', undefined)
    return { kind: 'unavailable', cause: 'rejected', retryAfterMs, detail }
  }

  /** Why no call may go out now: asked on arrival and again when it is a call's turn. */
  const refusal = (): Introspected | undefined => {
    const throttledMs = throttledUntilMs - clock.monotonicMs()
    if (throttledMs > 0) return reject('the key manager asked for fewer calls (429)', throttledMs)
    const openMs = breaker.refusesForMs()
    return openMs > 0 ? reject('the breaker is open', openMs) : undefined
  }

  /** As many as there is room for; what breaker or 429 refuse takes no room. */
  const startWaiting = (): void => {
    for (const waiting of queue) {
      if (inFlight >= settings.maxInFlight) return
      queue.delete(waiting)
      waiting.interest.whenLost = undefined
      run(waiting)
    }
  }

  return {
    introspect(token, interest) {
      return new Promise((resolve) => {
        const waiting: Waiting = { token, interest, resolve }
        if (inFlight < settings.maxInFlight) {
          run(waiting)
          return
        }
        if (!interest.wanted) return resolve({ kind: 'abandoned' })
        const refused = refusal()
        if (refused !== undefined) return resolve(refused)
        if (queue.size >= settings.maxWaiting) {
          metrics.introspection('rejected', undefined)
          return resolve({ kind: 'overloaded' })
        }
        queue.add(waiting)
        interest.whenLost = () => {
          queue.delete(waiting)
          resolve({ kind: 'abandoned' })
        }
      })
    },
    probe: () => probeKeyManager(call, settings.security, clock),
    status: () => ({ breaker: breaker.state, inFlight, waiting: queue.size, lastError: failures.last() }),
    close: () => http.close(),
  }
}

function createHttp(settings: KeyManagerConfig, clock: Clock): PostClient {
  return createPostClient({
    url: settings.introspectUrl,
    connections: settings.maxInFlight,
    timeoutMs: settings.timeoutMs,
    connectTimeoutMs: settings.connectTimeoutMs,
    maxAnswerSize: settings.maxAnswerSize,
    tls: readTlsOptions(settings.tls),
    proxy: settings.proxy,
    clock,
  })
}

/** Product section 4: what an outcome says about the key manager. */
function judge(outcome: Introspected): Verdict {
  switch (outcome.kind) {
    case 'active':
    case 'inactive':
      return 'works'
    case 'malformed':
    case 'overloaded':
    case 'abandoned':
      return 'neutral'
    case 'unavailable':
      switch (outcome.cause) {
        case 'timeout':
        case 'network':
        case 'tls':
        case 'server_error':
        case 'unauthorized':
          return 'failed'
        case 'client_error':
        case 'throttled':
        case 'rejected':
          return 'neutral'
        default:
          return outcome.cause satisfies never
      }
    default:
      return outcome satisfies never
  }
}

function label(outcome: Introspected): Parameters<IntrospectionMetrics['introspection']>[0] {
  switch (outcome.kind) {
    case 'active':
    case 'inactive':
    case 'malformed':
      return outcome.kind
    case 'unavailable':
      return outcome.cause
    case 'overloaded':
    case 'abandoned':
      return 'rejected'
    default:
      return outcome satisfies never
  }
}
