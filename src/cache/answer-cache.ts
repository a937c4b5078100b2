/**
 * Remembered answers: Keyv over bounded memory. Active and inactive answers have a budget each, so that a flood of bad
 * tokens cannot evict good ones. Both bounds of a life are compared on every read: the life by the monotonic clock,
 * `exp` by the wall clock.
 */
import Keyv from 'keyv'
import type { Answer, AnswerCache, CacheMetrics, Clock } from '../authz/ports.ts'
import { type BoundedMap, createBoundedMap } from './bounded-map.ts'

export interface AnswerCacheSettings {
  /** Entries of active answers. */
  readonly capacity: number
  /** Entries of inactive answers. */
  readonly inactiveCapacity: number
}

/** Memory that outlives a reload: entries of another key manager are unreachable, their keys differ. */
export interface AnswerMemory {
  readonly active: BoundedMap<Entry>
  readonly inactive: BoundedMap<Entry>
}

/** What Keyv writes without a serialiser: the same object comes back, which is why answers are frozen. */
interface Entry {
  readonly value: Answer
}

export function createAnswerMemory(settings: AnswerCacheSettings): AnswerMemory {
  return {
    active: createBoundedMap(settings.capacity),
    inactive: createBoundedMap(settings.inactiveCapacity),
  }
}

export function createAnswerCache(
  memory: AnswerMemory,
  { clock, metrics }: { readonly clock: Clock; readonly metrics: CacheMetrics },
): AnswerCache {
  const writers = { active: keyvOver(memory.active, metrics), inactive: keyvOver(memory.inactive, metrics) }

  const alive = (answer: Answer): boolean => {
    if (clock.monotonicMs() - answer.storedAtMs >= answer.lifeMs) return false
    // RFC 7662 section 4: never beyond exp, whatever the wall clock did since.
    return !answer.active || answer.claims.expSec === undefined || answer.claims.expSec * 1000 > clock.wallMs()
  }

  const read = (store: BoundedMap<Entry>, key: string): Answer | undefined => {
    const answer = store.get(key)?.value
    if (answer === undefined) return undefined
    if (alive(answer)) return answer
    store.delete(key)
    return undefined
  }

  return {
    load: undefined,
    peek(key) {
      const answer = read(memory.active, key) ?? read(memory.inactive, key)
      metrics.cacheOperation('memory', 'get', answer === undefined ? 'miss' : 'hit')
      return answer
    },
    remember(key, answer) {
      // The older answer goes first, even where nothing takes its place: a token now inactive is served no longer.
      memory.active.delete(key)
      memory.inactive.delete(key)
      // Keyv 5.6: a time to live of 0 or NaN would be for ever.
      if (!(answer.lifeMs >= 1)) return
      const writer = answer.active ? writers.active : writers.inactive
      void writer.set(key, answer, answer.lifeMs).catch(() => metrics.cacheOperation('memory', 'set', 'error'))
    },
  }
}

function keyvOver(map: BoundedMap<Entry>, metrics: CacheMetrics): Keyv<Answer> {
  const store = {
    get: (key: string) => map.get(key),
    set: (key: string, value: unknown) => {
      if (!isEntry(value)) return
      map.set(key, value)
      metrics.cacheOperation('memory', 'set', 'ok')
    },
    delete: (key: string) => map.delete(key),
    clear: () => map.clear(),
  }
  const keyv = new Keyv<Answer>({ store, useKeyPrefix: false })
  // Without a serialiser the object itself is kept: no JSON on the hit path.
  keyv.serialize = undefined
  keyv.deserialize = undefined
  keyv.on('error', () => metrics.cacheOperation('memory', 'set', 'error'))
  return keyv
}

function isEntry(value: unknown): value is Entry {
  return typeof value === 'object' && value !== null && 'value' in value
}
