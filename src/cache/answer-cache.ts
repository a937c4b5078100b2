/**
 * Remembered answers: Keyv over bounded memory. Active and inactive answers have a budget each, so that a flood of bad
 * tokens cannot evict good ones. Both bounds of a life are compared on every read: the life by the monotonic clock,
 * `exp` by the wall clock.
 */
import Keyv from 'keyv'
import type { ActiveAnswer, Answer, AnswerCache, CacheMetrics, Clock, InactiveAnswer } from '../authz/ports.ts'
import { createActiveAnswers } from './active-answers.ts'
import type { AnswerStore } from './answer-store.ts'
import { createInactiveAnswers } from './inactive-answers.ts'

export interface AnswerCacheSettings {
  /** Entries of active answers. */
  readonly capacity: number
  /** Entries of inactive answers. */
  readonly inactiveCapacity: number
}

/** Memory that outlives a reload: entries of another key manager are unreachable, their keys differ. */
export interface AnswerMemory {
  readonly active: AnswerStore<ActiveAnswer>
  readonly inactive: AnswerStore<InactiveAnswer>
}

export function createAnswerMemory(settings: AnswerCacheSettings): AnswerMemory {
  return {
    active: createActiveAnswers(settings.capacity),
    inactive: createInactiveAnswers(settings.inactiveCapacity),
  }
}

export interface RetirableCache extends AnswerCache {
  /**
   * A reload has replaced its configuration. Two may then ask for one token at once: an active answer that the older one
   * still waits for is not remembered any more, whatever the newer one was told; a refusal is.
   */
  retire(): void
}

export function createAnswerCache(
  memory: AnswerMemory,
  { clock, metrics }: { readonly clock: Clock; readonly metrics: CacheMetrics },
): RetirableCache {
  let isRetired = false
  const writers = { active: keyvOver(memory.active, metrics), inactive: keyvOver(memory.inactive, metrics) }

  const alive = (answer: Answer): boolean => {
    if (clock.monotonicMs() - answer.storedAtMs >= answer.lifeMs) return false
    // RFC 7662 section 4: never beyond exp, whatever the wall clock did since.
    return !answer.active || answer.claims.expSec === undefined || answer.claims.expSec * 1000 > clock.wallMs()
  }

  const notWritten = (): void => metrics.cacheOperation('memory', 'set', 'error')

  const read = (store: AnswerStore<Answer>, key: string): Answer | undefined => {
    const answer = store.get(key)
    if (answer === undefined) return undefined
    if (alive(answer)) return answer
    forget(store, key)
    return undefined
  }

  const forget = (store: AnswerStore<Answer>, key: string): void => {
    if (store.delete(key)) metrics.cacheOperation('memory', 'delete', 'ok')
  }

  return {
    load: undefined,
    peek: (key) => read(memory.active, key) ?? read(memory.inactive, key),
    retire() {
      isRetired = true
    },
    remember(key, answer) {
      if (isRetired && answer.active) return
      // Keyv 5.6: a time to live of 0 or NaN would be for ever.
      const isKept = answer.lifeMs >= 1
      // The older answer goes first, even where nothing takes its place: a token now inactive is served no longer.
      // Where it is followed by one of its kind it is not deleted but set anew.
      if (answer.active && isKept) memory.active.delete(key)
      else forget(memory.active, key)
      if (!answer.active && isKept) memory.inactive.delete(key)
      else forget(memory.inactive, key)
      if (!isKept) return
      const written = answer.active
        ? writers.active.set(key, answer, answer.lifeMs)
        : writers.inactive.set(key, answer, answer.lifeMs)
      void written.catch(notWritten)
    },
  }
}

/** What Keyv writes without a serialiser: the very object it was given. */
interface Written<A> {
  readonly value: A
}

function keyvOver<A extends Answer>(answers: AnswerStore<A>, metrics: CacheMetrics): Keyv<A> {
  const isWritten = (value: unknown): value is Written<A> =>
    typeof value === 'object' && value !== null && 'value' in value
  const store = {
    get(key: string): Written<A> | undefined {
      const value = answers.get(key)
      return value && { value }
    },
    set(key: string, written: unknown) {
      if (!isWritten(written)) return
      answers.set(key, written.value)
      metrics.cacheOperation('memory', 'set', 'ok')
    },
    delete: (key: string) => answers.delete(key),
    clear: () => answers.clear(),
  }
  const keyv = new Keyv<A>({ store, useKeyPrefix: false })
  // The answer itself reaches the store, which packs it: no JSON is made of it.
  keyv.serialize = undefined
  keyv.deserialize = undefined
  keyv.on('error', () => metrics.cacheOperation('memory', 'set', 'error'))
  return keyv
}
