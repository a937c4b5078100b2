/**
 * A bounded map, least recently used goes first, that is also a Keyv store: Keyv writes, the hit path reads it
 * synchronously. Links keep the order of use. Deleting and setting a Map's own entry at each read would keep it too, but
 * leaves a hole each time, and the next `set` walks all holes of its bucket: with one hot token some 15 us a read.
 */

export interface BoundedMap<V> {
  /** Marks the entry as used. */
  get(key: string): V | undefined
  set(key: string, value: V): void
  delete(key: string): boolean
  clear(): void
  size(): number
}

interface Entry<V> {
  readonly key: string
  value: V
  /** The entry used just before this one; undefined for the least recently used. */
  older: Entry<V> | undefined
  /** The entry used just after this one; undefined for the last used. */
  newer: Entry<V> | undefined
}

/** `capacity`: entries, at least 1. */
export function createBoundedMap<V>(capacity: number): BoundedMap<V> {
  const entries = new Map<string, Entry<V>>()
  let oldest: Entry<V> | undefined
  let newest: Entry<V> | undefined

  function append(entry: Entry<V>): void {
    entry.older = newest
    entry.newer = undefined
    if (newest === undefined) oldest = entry
    else newest.newer = entry
    newest = entry
  }

  function unlink({ older, newer }: Entry<V>): void {
    if (older === undefined) oldest = newer
    else older.newer = newer
    if (newer === undefined) newest = older
    else newer.older = older
  }

  function remove(entry: Entry<V>): void {
    unlink(entry)
    entries.delete(entry.key)
  }

  function touch(entry: Entry<V>): void {
    if (entry === newest) return
    unlink(entry)
    append(entry)
  }

  return {
    get(key) {
      const entry = entries.get(key)
      if (entry === undefined) return undefined
      touch(entry)
      return entry.value
    },
    set(key, value) {
      const known = entries.get(key)
      if (known !== undefined) {
        known.value = value
        touch(known)
        return
      }
      if (entries.size >= capacity && oldest !== undefined) remove(oldest)
      const entry: Entry<V> = { key, value, older: undefined, newer: undefined }
      entries.set(key, entry)
      append(entry)
    },
    delete(key) {
      const entry = entries.get(key)
      if (entry === undefined) return false
      remove(entry)
      return true
    },
    clear() {
      entries.clear()
      oldest = undefined
      newest = undefined
    },
    size: () => entries.size,
  }
}
