/**
 * Whether and when a token is introspected: a bounded queue, the breaker and an honoured 429 in front of one POST. Nothing
 * here rejects: whatever goes wrong is an outcome, and none of them allows.
 */
import type {
  CheckTrace,
  Clock,
  Interest,
  Introspected,
  IntrospectionMetrics,
  Introspector,
  Log,
} from '../authz/ports.ts'
import type { KeyManagerConfig } from '../config/config.ts'
import type { Admission, Verdict } from '../net/breaker.ts'
import type { PostClient } from '../net/http.ts'
import type { TlsOptions } from '../net/tls.ts'
import { type CallGate, createCallGate } from './call-gate.ts'
import type { Endpoints } from './discovery.ts'
import { createInactiveAlarm } from './inactive-alarm.ts'
import { createIntrospectionClients } from './introspection-clients.ts'
import {
  createLastCalls,
  isUnauthorized,
  judge,
  type LastCalls,
  label,
  noCall,
  UNEXPECTED,
} from './introspection-outcome.ts'
import { createIntrospectionRequest } from './introspection-request.ts'
import type { Held, OwnToken, Taken } from './own-token.ts'
import { createPlaces } from './places.ts'
import { type ProbeResult, probeKeyManager } from './probe.ts'

export interface KeyManagerClient extends Introspector {
  /** After the first own token: introspects one random token past queue and metrics, unless breaker or 429 hold. Never rejects. */
  probe(): Promise<ProbeResult>
  status(): KeyManagerStatus
  /**
   * Calls under way, queued or waiting for the own token are answered, which is waited for no longer than
   * `keyManager.timeout`, with an own token 5 s more; then the connections are closed behind what is left.
   */
  close(): Promise<void>
}

export interface KeyManagerStatus extends LastCalls {
  readonly breaker: 'closed' | 'open' | 'half_open'
  readonly inFlight: number
  readonly waiting: number
  /** What went wrong last, in our own words; undefined after a good answer. */
  readonly lastError: string | undefined
  /** How long the breaker or an honoured 429 lets no call out; undefined: it does. */
  readonly pausedForMs: number | undefined
}

export interface IntrospectorDependencies {
  readonly clock: Clock
  readonly metrics: IntrospectionMetrics
  readonly log: Log
  /** In place of the one over the network. */
  readonly http?: PostClient
  /** Default: read from the files of `keyManager.tls`. */
  readonly tls?: TlsOptions
  /** In place of one of its own: of an introspector before, which asked the same key manager. */
  readonly gate?: CallGate
  /** With `own_token`; where it is missing nothing is sent. */
  readonly ownToken?: OwnToken | undefined
  /** Where no `introspectUrl` is written. */
  readonly endpoints?: (() => Endpoints | undefined | Promise<Endpoints | undefined>) | undefined
}

/** One request to the token endpoint. */
const OWN_TOKEN_MS = 5_000

/** Throws where a file of `keyManager.tls` cannot be read, naming its key. */
export function createIntrospector(
  settings: KeyManagerConfig,
  dependencies: IntrospectorDependencies,
): KeyManagerClient {
  const { clock, metrics, log } = dependencies
  const { ownToken } = dependencies
  const { security } = settings
  const clients = createIntrospectionClients(settings, dependencies)
  const post = createIntrospectionRequest(settings, clients, clock)
  const gate = dependencies.gate ?? createCallGate(settings, dependencies)
  const { breaker } = gate
  const noteInactive = createInactiveAlarm(log)
  const lastCalls = createLastCalls(clock)
  const places = createPlaces(settings.maxInFlight, ({ token, interest, resolve }) => {
    void begin(token, interest).then(resolve)
  })
  let closed: Promise<void> | undefined
  let whenPlaceIsFree: () => void = () => undefined

  /** Product P22: an own token that is refused is renewed once, and the call repeated once. */
  const call = (token: string, held: Held | undefined, trace?: CheckTrace): Promise<Introspected> => {
    const outcome = post(token, held, trace)
    return ownToken === undefined || held === undefined ? outcome : renewed(token, held, ownToken, outcome, trace)
  }

  const renewed = async (
    token: string,
    held: Held,
    own: OwnToken,
    first: Promise<Introspected>,
    trace?: CheckTrace,
  ): Promise<Introspected> => {
    const outcome = await first
    if (!isUnauthorized(outcome)) return outcome
    const next = await own.refused(held)
    if (next.kind === 'unavailable') return { ...outcome, retryAfterMs: next.retryAfterMs }
    const again = await post(token, next.token, trace)
    // Nobody waits for what comes of it: this call had its second try.
    if (isUnauthorized(again)) void own.refused(next.token)
    return again
  }

  /** One whose turn it is. Never rejects, nor do `sendLater` and `send`: nobody is left waiting, and the queue goes on. */
  const begin = (token: string, interest: Interest): Promise<Introspected> => {
    try {
      const refused = refusal()
      if (refused !== undefined) return Promise.resolve(refused)
      const taken = ownToken?.take()
      if (taken instanceof Promise) return sendLater(token, interest, taken)
      if (taken?.kind !== 'unavailable') return send(token, interest, taken?.token)
      return Promise.resolve(reject(taken.detail, taken.retryAfterMs))
    } catch {
      return Promise.resolve(UNEXPECTED)
    }
  }

  /** Who comes to no call gives its place to the next. */
  const sendLater = async (token: string, interest: Interest, taken: Promise<Taken>): Promise<Introspected> => {
    let outcome = UNEXPECTED
    let has: Taken | undefined
    places.awaitingToken += 1
    try {
      has = await taken
    } catch {
      // No token, then.
    }
    places.awaitingToken -= 1
    // From here to the call there is no wait: nobody takes the place meanwhile.
    try {
      if (!interest.wanted) outcome = { kind: 'abandoned' }
      else if (has?.kind === 'unavailable') outcome = reject(has.detail, has.retryAfterMs)
      else if (has !== undefined) {
        const refused = refusal()
        if (refused === undefined) return send(token, interest, has.token)
        outcome = refused
      }
    } catch {
      // Fail closed.
    }
    goOn()
    return outcome
  }

  const send = async (token: string, interest: Interest, held: Held | undefined): Promise<Introspected> => {
    let outcome = UNEXPECTED
    let verdict: Verdict = 'neutral'
    let admission: Admission | undefined
    places.inFlight += 1
    try {
      metrics.introspectionsInFlight(1)
      admission = breaker.admit()
      if (admission.admitted) {
        const sentAtMs = clock.monotonicMs()
        outcome = await call(token, held, interest.trace)
        verdict = judge(outcome)
        note(outcome, clock.monotonicMs() - sentAtMs)
      } else outcome = reject('the breaker is open', admission.retryAfterMs)
    } catch {
      outcome = UNEXPECTED
    }
    places.inFlight -= 1
    try {
      if (admission?.admitted) breaker.settle(admission.probe, verdict, admission.opening)
    } catch {
      outcome = UNEXPECTED
    }
    try {
      metrics.introspectionsInFlight(-1)
    } catch {
      outcome = UNEXPECTED
    }
    goOn()
    return outcome
  }

  /** After each call that had a place. */
  const goOn = (): void => {
    places.startWaiting()
    whenPlaceIsFree()
  }

  /** Resolves when nobody has a place or waits for one, or the time is up. */
  const finished = (): Promise<void> =>
    new Promise((resolve) => {
      const stopTimer = clock.after(settings.timeoutMs + (ownToken === undefined ? 0 : OWN_TOKEN_MS), resolve)
      whenPlaceIsFree = () => {
        if (places.inFlight + places.awaitingToken + places.waiting > 0) return
        stopTimer()
        resolve()
      }
      whenPlaceIsFree()
    })

  /** What log, metrics and pause learn from an outcome. */
  const note = (outcome: Introspected, tookMs: number): void => {
    gate.note(outcome)
    noteInactive(outcome)
    lastCalls.note(outcome, tookMs)
    metrics.introspection(label(outcome), tookMs / 1_000)
  }

  const reject = (detail: string, retryAfterMs: number): Introspected => {
    metrics.introspection('rejected', undefined)
    return noCall(detail, retryAfterMs)
  }

  /** Why no call may go out now: asked on arrival and again when it is a call's turn. */
  const refusal = (): Introspected | undefined => {
    const refused = gate.refusal()
    return refused === undefined ? undefined : reject(refused.detail, refused.forMs)
  }

  const callByProbe = async (token: string): Promise<Introspected> => {
    await ownToken?.obtained
    const taken = await ownToken?.take()
    if (taken?.kind === 'unavailable') return noCall(taken.detail, taken.retryAfterMs)
    const refused = gate.refusal()
    if (refused !== undefined) return noCall(refused.detail, refused.forMs)
    const outcome = await call(token, taken?.token)
    // It counts in no figure; that fewer calls are asked for holds all the same.
    if (outcome.kind === 'unavailable' && outcome.cause === 'throttled') gate.note(outcome)
    return outcome
  }

  return {
    introspect(token, interest) {
      try {
        if (places.hasRoom()) return begin(token, interest)
        if (!interest.wanted) return Promise.resolve({ kind: 'abandoned' })
        const refused = refusal()
        if (refused !== undefined) return Promise.resolve(refused)
        if (places.waiting >= settings.maxWaiting) {
          metrics.introspection('rejected', undefined)
          return Promise.resolve({ kind: 'overloaded' })
        }
        return new Promise((resolve) => places.wait({ token, interest, resolve }))
      } catch {
        return Promise.resolve(UNEXPECTED)
      }
    },
    probe: () => probeKeyManager(callByProbe, security, clock),
    status() {
      const pausedMs = gate.refusal()?.forMs
      return {
        breaker: breaker.state,
        inFlight: places.inFlight,
        waiting: places.waiting,
        lastError: gate.lastError(),
        pausedForMs: pausedMs === undefined ? undefined : Math.ceil(pausedMs),
        ...lastCalls.told(),
      }
    },
    close() {
      closed ??= finished().then(() => clients.close())
      return closed
    },
  }
}
