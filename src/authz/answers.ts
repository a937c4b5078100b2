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

/** One call and whoever waits for it. */
class Flight implements Interest {
  readonly key: string
  next: Flight | undefined
  readonly trace: CheckTrace | undefined
  wanted = true
  whenLost: (() => void) | undefined
  /** How many have not given up. */
  waiting = 0
  /** In the order of arrival, those that gave up among them. */
  private first: Waiter | undefined
  private last: Waiter | undefined

  constructor(key: string, trace: CheckTrace | undefined) {
    this.key = key
    this.trace = trace
  }

  join(waiter: Waiter): void {
    this.waiting += 1
    this.wanted = true
    if (this.last === undefined) this.first = waiter
    else this.last.after = waiter
    this.last = waiter
  }

  land(found: Found): void {
    let waiter = this.first
    this.first = undefined
    this.last = undefined
    while (waiter !== undefined) {
      const { after } = waiter
      // What is old must not hold on to what came after it.
      waiter.after = undefined
      waiter.settle(found)
      waiter = after
    }
  }
}

/** A Check that waits: for the landing, for its time, or for Envoy to give up, whichever comes first. */
class Waiter {
  after: Waiter | undefined
  private cancellation: Cancellation | undefined
  private resolve: ((found: Found) => void) | undefined
  private stopTimer: (() => void) | undefined

  constructor(cancellation: Cancellation, resolve: (found: Found) => void) {
    this.cancellation = cancellation
    this.resolve = resolve
  }

  /** `giveUp` when the time is over or the Check is cancelled. */
  wait(clock: Clock, ms: number, giveUp: () => void): void {
    this.stopTimer = clock.after(ms, giveUp)
    if (this.cancellation !== undefined) this.cancellation.whenCancelled = giveUp
  }

  /** False: it was settled before. */
  settle(found: Found): boolean {
    const { resolve } = this
    if (resolve === undefined) return false
    this.resolve = undefined
    if (this.cancellation !== undefined) this.cancellation.whenCancelled = undefined
    this.stopTimer?.()
    // It stays in its flight until that lands: nothing of the Check may stay with it.
    this.cancellation = undefined
    this.stopTimer = undefined
    resolve(found)
    return true
  }
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

const UNEXPECTED: Found = {
  ok: false,
  failure: { kind: 'malformed', detail: 'an unexpected error while introspecting' },
}

export function createAnswers(
  { cache, introspector, clock, metrics }: AnswersDependencies,
  settings: LifeSettings,
): Answers {
  const flights = new Flights<Flight>()

  const fresh = (answer: Answer, maxAgeMs: number | undefined): boolean =>
    maxAgeMs === undefined || clock.monotonicMs() - answer.storedAtMs <= maxAgeMs

  async function fly(token: string, flight: Flight, maxAgeMs: number | undefined): Promise<void> {
    let found = UNEXPECTED
    try {
      const shared = cache.load === undefined ? undefined : await cache.load(flight.key)
      found =
        shared !== undefined && fresh(shared, maxAgeMs)
          ? { ok: true, answer: shared, cache: 'shared_hit' }
          : remember(flight.key, await introspector.introspect(token, flight))
    } catch {
      // Ports promise not to reject; where one does, fail closed.
    }
    flights.remove(flight)
    flight.land(found)
  }

  function remember(key: string, result: Introspected): Found {
    if (result.kind === 'abandoned') return LATE
    if (result.kind !== 'active' && result.kind !== 'inactive') return { ok: false, failure: result }
    const answer =
      result.kind === 'active'
        ? activeAnswer(result.claims, clock.wallMs(), clock.monotonicMs(), settings)
        : inactiveAnswer(clock.monotonicMs(), settings)
    // With a life of 0 too: it replaces an older answer, which it contradicts or outdates.
    cache.remember(key, answer)
    return { ok: true, answer, cache: 'miss' }
  }

  function leave(flight: Flight): void {
    flight.waiting -= 1
    if (flight.waiting > 0) return
    // A queued call that nobody waits for is dropped; one already sent goes on and is remembered.
    flight.wanted = false
    const { whenLost } = flight
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
      const underWay = flights.get(key)
      if (underWay !== undefined) metrics.waiterJoined()
      const flight = underWay ?? new Flight(key, cancellation.trace)
      return new Promise((resolve) => {
        const waiter = new Waiter(cancellation, resolve)
        waiter.wait(clock, deadlineMs - clock.monotonicMs(), () => {
          if (waiter.settle(LATE)) leave(flight)
        })
        flight.join(waiter)
        if (underWay !== undefined) return
        // Last: where a port throws it lands at once, and must find its waiter and its place among the flights.
        flights.add(flight)
        void fly(token, flight, maxAgeMs)
      })
    },
  }
}
