/**
 * The table in which an HTTP/2 session has its open streams. Node keeps a JavaScript `Map` there. V8 replaces a Map's
 * inner table all the time where entries come and go; one that has grown old is replaced by one that is born old, and
 * each dead one keeps alive every stream that stood in it, until the next full collection, which comes the sooner for it
 * (docs/performance.md, "Why garbage grew old"). This one is changed in place: what has left it is gone.
 */
import { subscribe } from 'node:diagnostics_channel'

/** Stream ids are odd and rise: half of one, cut to the size, is a place of its own for all that are open together. */
const FIRST_SIZE = 128

/** All of `Map` that holds for ids from 1 to 2^31 - 1; iterators go over what was there when they were asked for. */
export class StreamTable<Stream> extends Map<number, Stream> {
  /** 0: free. */
  #ids = new Int32Array(FIRST_SIZE)
  #streams = emptyPlaces<Stream>(FIRST_SIZE)
  #open = 0

  override get size(): number {
    return this.#open
  }

  override get(id: number): Stream | undefined {
    return this.#streams[this.#placeOf(id)]
  }

  override has(id: number): boolean {
    return id !== 0 && this.#ids[this.#placeOf(id)] === id
  }

  override set(id: number, stream: Stream): this {
    if (!(id > 0 && id === (id | 0))) throw new RangeError('a stream id is from 1 to 2^31 - 1')
    const isNew = !this.has(id)
    if (isNew && this.#open * 2 >= this.#ids.length) this.#grow()
    const place = this.#placeOf(id)
    this.#ids[place] = id
    this.#streams[place] = stream
    if (isNew) this.#open += 1
    return this
  }

  /** Those behind it that are not in their own place move up: no place is ever only marked as free. */
  override delete(id: number): boolean {
    let hole = this.#placeOf(id)
    if (this.#ids[hole] !== id || id === 0) return false
    const mask = this.#ids.length - 1
    for (let place = (hole + 1) & mask; this.#ids[place] !== 0; place = (place + 1) & mask) {
      const own = ((this.#ids[place] ?? 0) >>> 1) & mask
      if (((place - own) & mask) < ((place - hole) & mask)) continue
      this.#ids[hole] = this.#ids[place] ?? 0
      this.#streams[hole] = this.#streams[place]
      hole = place
    }
    this.#ids[hole] = 0
    this.#streams[hole] = undefined
    this.#open -= 1
    return true
  }

  override clear(): void {
    this.#ids.fill(0)
    this.#streams.fill(undefined)
    this.#open = 0
  }

  override forEach(visit: (stream: Stream, id: number, table: Map<number, Stream>) => void, self?: unknown): void {
    // Visiting one may close another.
    for (const [id, stream] of this.#all()) if (this.has(id)) visit.call(self, stream, id, this)
  }

  override entries(): MapIterator<[number, Stream]> {
    return this.#all().values()
  }

  override keys(): MapIterator<number> {
    return this.#all()
      .map(([id]) => id)
      .values()
  }

  override values(): MapIterator<Stream> {
    return this.#all()
      .map(([, stream]) => stream)
      .values()
  }

  override [Symbol.iterator](): MapIterator<[number, Stream]> {
    return this.entries()
  }

  /** In the order of their ids, which is that of their opening. */
  #all(): [number, Stream][] {
    const all: [number, Stream][] = []
    for (const [place, stream] of this.#streams.entries()) {
      const id = this.#ids[place] ?? 0
      if (id !== 0 && stream !== undefined) all.push([id, stream])
    }
    return all.sort(([a], [b]) => a - b)
  }

  /** Where it is, or where it would be. */
  #placeOf(id: number): number {
    const mask = this.#ids.length - 1
    let place = (id >>> 1) & mask
    while (this.#ids[place] !== id && this.#ids[place] !== 0) place = (place + 1) & mask
    return place
  }

  #grow(): void {
    const all = this.#all()
    this.#ids = new Int32Array(this.#ids.length * 2)
    this.#streams = emptyPlaces(this.#ids.length)
    this.#open = 0
    for (const [id, stream] of all) this.set(id, stream)
  }
}

const emptyPlaces = <Stream>(size: number): (Stream | undefined)[] =>
  new Array<Stream | undefined>(size).fill(undefined)

/** Of Node, in which what is replaced here was looked at: `lib/internal/http2/core.js` calls get, set, delete, forEach and size. */
const KNOWN_MAJOR = '24'
/** Node's own channel, told of each stream. */
const CREATED = 'http2.server.stream.created'
let isReplacing = false

/**
 * From now on server sessions get such a table with their first stream. Nothing is done under another major version of
 * Node, nor where a session does not look as expected: the table is Node's own affair, and its Map works as well.
 */
export function replaceStreamTables(): void {
  if (isReplacing || process.versions.node.split('.')[0] !== KNOWN_MAJOR) return
  isReplacing = true
  const seen = new WeakSet<object>()
  subscribe(CREATED, (message) => {
    const session: unknown = Object(Object(message).stream).session
    if (typeof session !== 'object' || session === null || seen.has(session)) return
    seen.add(session)
    try {
      replaceStreamTable(session)
    } catch {
      // An exception of a subscriber would end the process; without its new table a session works as well.
    }
  })
}

/** False: nothing was replaced. */
export function replaceStreamTable(session: object): boolean {
  const key = Object.getOwnPropertySymbols(session).find(({ description }) => description === 'state')
  const state: unknown = key === undefined ? undefined : Reflect.get(session, key)
  if (typeof state !== 'object' || state === null) return false
  const before: unknown = Reflect.get(state, 'streams')
  if (!isMap(before) || before instanceof StreamTable) return false
  const table = new StreamTable<unknown>()
  let areIds = true
  before.forEach((stream, id) => {
    if (typeof id === 'number') table.set(id, stream)
    else areIds = false
  })
  if (!areIds || table.size !== before.size) return false
  return Reflect.set(state, 'streams', table)
}

/** Node's own has no prototype in common with the Map that programs see. */
function isMap(value: unknown): value is Map<unknown, unknown> {
  const { get, set, delete: remove, forEach, size } = Object(value)
  return [get, set, remove, forEach].every((method) => typeof method === 'function') && typeof size === 'number'
}
