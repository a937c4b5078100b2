/**
 * Where an answer comes from: memory, then one flight a token {shared store -> introspect -> remember}.
 * A flight belongs to nobody: a waiter that gives up takes no other with it.
 */
import { Flights } from './flights.ts'
import { activeAnswer, inactiveAnswer, type LifeSettings } from './introspection.ts'
import type {
  Answer,
  AnswerCache,
  CacheMetrics,
  CacheResult,
  Cancellation,
  CheckTrace,
  Clock,
  Interest,
  Introspected,
  Introspector,
} from './ports.ts'

export type Failure = Exclude<Introspected, { kind: 'active' } | { kind: 'inactive' } | { kind: 'abandoned' }>

export type Found =
  | { readonly ok: true; readonly answer: Answer; readonly cache: CacheResult }
  | { readonly ok: false; readonly failure: Failure }

export interface Answers {
  /** Memory only; undefined on a miss, or where the answer is older than `maxAgeMs`. */
  peek(key: string, maxAgeMs: number | undefined): Answer | undefined
  /** Asks, joining a flight under way. Answers by `deadlineMs` (monotonic) at the latest. Never rejects. */
  ask(
    key: string,
    token: string,
    deadlineMs: number,
    maxAgeMs: number | undefined,
    cancellation: Cancellation,
  ): Promise<Found>
}

interface Flight {
  readonly key: string
  next: Flight | undefined
  readonly landed: Promise<Found>
  readonly interest: { wanted: boolean; whenLost: (() => void) | undefined; readonly trace: CheckTrace | undefined }
  waiters: number
}

export interface AnswersDependencies {
  readonly cache: AnswerCache
  readonly introspector: Introspector
  readonly clock: Clock
  readonly metrics: CacheMetrics
}

const LATE: Found = {
  ok: false,
  failure: { kind: 'unavailable', cause: 'timeout', retryAfterMs: 0, detail: 'the key manager did not answer in time' },
}

export function createAnswers(
  { cache, introspector, clock, metrics }: AnswersDependencies,
  settings: LifeSettings,
): Answers {
  const flights = new Flights<Flight>()

  const fresh = (answer: Answer, maxAgeMs: number | undefined): boolean =>
    maxAgeMs === undefined || clock.monotonicMs() - answer.storedAtMs <= maxAgeMs

  async function fly(key: string, token: string, interest: Interest, maxAgeMs: number | undefined): Promise<Found> {
    try {
      const shared = cache.load === undefined ? undefined : await cache.load(key)
      if (shared !== undefined && fresh(shared, maxAgeMs)) return { ok: true, answer: shared, cache: 'shared_hit' }
      const result = await introspector.introspect(token, interest)
      if (result.kind === 'abandoned') return LATE
      if (result.kind !== 'active' && result.kind !== 'inactive') return { ok: false, failure: result }
      const answer =
        result.kind === 'active'
          ? activeAnswer(result.claims, clock.wallMs(), clock.monotonicMs(), settings)
          : inactiveAnswer(clock.monotonicMs(), settings)
      // With a life of 0 too: it replaces an older answer, which it contradicts or outdates.
      cache.remember(key, answer)
      return { ok: true, answer, cache: 'miss' }
    } catch {
      // Ports promise not to reject; where one does, fail closed.
      return { ok: false, failure: { kind: 'malformed', detail: 'an unexpected error while introspecting' } }
    }
  }

  function board(key: string, token: string, maxAgeMs: number | undefined, trace: CheckTrace | undefined): Flight {
    const underWay = flights.get(key)
    if (underWay !== undefined) {
      metrics.waiterJoined()
      return underWay
    }
    const interest = { wanted: true, whenLost: undefined, trace }
    // The flight is among them before `fly` runs, so that its end always finds it there.
    const { promise, resolve } = Promise.withResolvers<Found>()
    const flight: Flight = { key, next: undefined, landed: promise, interest, waiters: 0 }
    flights.add(flight)
    void fly(key, token, interest, maxAgeMs).then((found) => {
      flights.remove(flight)
      resolve(found)
    })
    return flight
  }

  function leave(flight: Flight): void {
    flight.waiters -= 1
    if (flight.waiters > 0) return
    // A queued call that nobody waits for is dropped; one already sent goes on and is remembered.
    flight.interest.wanted = false
    const { whenLost } = flight.interest
    if (whenLost === undefined) return
    flights.remove(flight)
    whenLost()
  }

  return {
    peek(key, maxAgeMs) {
      const remembered = cache.peek(key)
      const answer = remembered !== undefined && fresh(remembered, maxAgeMs) ? remembered : undefined
      // One too old for this route is a miss, as the reply says.
      metrics.cacheOperation('memory', 'get', answer === undefined ? 'miss' : 'hit')
      return answer
    },
    ask(key, token, deadlineMs, maxAgeMs, cancellation) {
      if (cancellation.cancelled) return Promise.resolve(LATE)
      const flight = board(key, token, maxAgeMs, cancellation.trace)
      flight.waiters += 1
      flight.interest.wanted = true
      return new Promise((resolve) => {
        const settle = (found: Found, landed: boolean): void => {
          if (cancellation.whenCancelled === undefined) return
          cancellation.whenCancelled = undefined
          stopTimer()
          if (!landed) leave(flight)
          resolve(found)
        }
        const stopTimer = clock.after(deadlineMs - clock.monotonicMs(), () => settle(LATE, false))
        cancellation.whenCancelled = () => settle(LATE, false)
        void flight.landed.then((found) => settle(found, true))
      })
    },
  }
}
