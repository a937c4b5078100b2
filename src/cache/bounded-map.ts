/**
 * A bounded map, least recently used goes first, that is also a Keyv store: Keyv writes, the hit path reads it
 * synchronously. A JavaScript Map keeps insertion order: a read moves its entry to the end.
 */

export interface BoundedMap<V> {
  /** Marks the entry as used. */
  get(key: string): V | undefined
  set(key: string, value: V): void
  delete(key: string): boolean
  clear(): void
  size(): number
}

/** `capacity`: entries, at least 1. */
export function createBoundedMap<V>(capacity: number): BoundedMap<V> {
  const entries = new Map<string, V>()
  return {
    get(key) {
      const value = entries.get(key)
      if (value === undefined) return undefined
      entries.delete(key)
      entries.set(key, value)
      return value
    },
    set(key, value) {
      entries.delete(key)
      entries.set(key, value)
      if (entries.size <= capacity) return
      const oldest = entries.keys().next()
      if (!oldest.done) entries.delete(oldest.value)
    },
    delete: (key) => entries.delete(key),
    clear: () => entries.clear(),
    size: () => entries.size,
  }
}
