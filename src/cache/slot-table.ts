/**
 * Which slot belongs to which key, and in what order slots were used. Slots are numbers from 1; what they hold is kept by
 * whoever asked for them. Keys are compared whole, all 256 bits, at every look-up.
 *
 * An index by linear hashing: with each slot that is added one bucket is split in two, so that no single call ever
 * rebuilds it. The order of use is a ring of links through slot 0, which holds nothing else.
 */
import { randomBytes } from 'node:crypto'
import { Records } from './records.ts'

const KEY_BYTES = 32

/** One record: the key, then the slot after it in its bucket, its neighbours in the order of use, and its serial. */
const CHAIN = 32
const OLDER = 36
const NEWER = 40
const SERIAL = 44
const RECORD_BYTES = 48

/** No slot: the end of a bucket, and the answer for a key that is not there. */
export const NO_SLOT = 0

export class SlotTable {
  readonly #records = new Records(RECORD_BYTES)
  /** The first slot of each bucket. */
  readonly #heads = new Records(4)
  readonly #wanted = Buffer.alloc(KEY_BYTES)
  /** What `#wanted` holds the bytes of: a miss asks for the same key four times. */
  #wantedKey: string | undefined
  readonly #wantedWords = new DataView(this.#wanted.buffer, this.#wanted.byteOffset, KEY_BYTES)
  /** Odd and random: whoever chooses tokens must not choose which of them share a bucket. */
  readonly #factors = [randomBytes(4).readInt32LE() | 1, randomBytes(4).readInt32LE() | 1] as const
  #size = 0
  #buckets = 1
  /** All ones, at least `#buckets - 1`, and less than twice that. */
  #mask = 1
  /** The highest slot that was ever used. */
  #highest = 0
  /** Removed slots, chained. */
  #removed = NO_SLOT
  #lastSerial = 0

  constructor() {
    this.#records.reserve(0)
    this.#heads.reserve(0)
  }

  get size(): number {
    return this.#size
  }

  /** `key`: 64 hex digits, else TypeError. */
  find(key: string): number {
    this.#readWanted(key)
    let slot = this.#head(this.#bucketOf(this.#wantedWords, 0))
    while (slot !== NO_SLOT && !this.#hasWanted(slot)) slot = this.#get(slot, CHAIN)
    return slot
  }

  /** A number that no slot had before: 32 bits, of which none is left out but 0. */
  nextSerial(): number {
    this.#lastSerial = (this.#lastSerial + 1) | 0 || 1
    return this.#lastSerial
  }

  /** A slot for a key that has none, as the one last used. */
  add(key: string, serial: number): number {
    this.#readWanted(key)
    const slot = this.#freeSlot()
    new Uint8Array(this.#records.segment(slot).buffer, this.#records.offset(slot), KEY_BYTES).set(this.#wanted)
    this.#set(slot, SERIAL, serial)
    this.#putInBucket(slot, this.#bucketOf(this.#wantedWords, 0))
    this.#link(slot)
    this.#size += 1
    if (this.#size > this.#buckets) this.#splitBucket()
    return slot
  }

  /** Of a slot that `find` or `oldest` named; throws RangeError for one that has no key. */
  remove(slot: number): void {
    this.#takeFromBucket(slot)
    this.#unlink(slot)
    this.#set(slot, SERIAL, 0)
    this.#set(slot, CHAIN, this.#removed)
    this.#removed = slot
    this.#size -= 1
  }

  /** Makes it the one last used. */
  touch(slot: number): void {
    if (this.#get(NO_SLOT, OLDER) === slot) return
    this.#unlink(slot)
    this.#link(slot)
  }

  /** The least recently used; NO_SLOT where there is none. */
  oldest(): number {
    return this.#get(NO_SLOT, NEWER)
  }

  /** What it was added with; 0 after its removal. Tells whether a slot is still the one that it was. */
  serial(slot: number): number {
    return slot > this.#highest ? 0 : this.#get(slot, SERIAL)
  }

  /** Serials go on: no slot of before is taken for one of after. */
  clear(): void {
    this.#records.clear()
    this.#heads.clear()
    this.#records.reserve(0)
    this.#heads.reserve(0)
    this.#size = 0
    this.#buckets = 1
    this.#mask = 1
    this.#highest = 0
    this.#removed = NO_SLOT
  }

  #get(slot: number, field: number): number {
    return this.#records.segment(slot).getInt32(this.#records.offset(slot) + field, true)
  }

  #set(slot: number, field: number, value: number): void {
    this.#records.segment(slot).setInt32(this.#records.offset(slot) + field, value, true)
  }

  #readWanted(key: string): void {
    if (key === this.#wantedKey) return
    this.#wantedKey = undefined
    if (key.length !== 2 * KEY_BYTES || this.#wanted.write(key, 0, KEY_BYTES, 'hex') !== KEY_BYTES) {
      throw new TypeError('a store key is 64 hex digits')
    }
    this.#wantedKey = key
  }

  #hasWanted(slot: number): boolean {
    const segment = this.#records.segment(slot)
    const offset = this.#records.offset(slot)
    for (let at = 0; at < KEY_BYTES; at += 4) {
      if (segment.getInt32(offset + at, true) !== this.#wantedWords.getInt32(at, true)) return false
    }
    return true
  }

  #freeSlot(): number {
    const removed = this.#removed
    if (removed !== NO_SLOT) {
      this.#removed = this.#get(removed, CHAIN)
      return removed
    }
    this.#records.reserve(this.#highest + 1)
    this.#highest += 1
    return this.#highest
  }

  /** Of the key at `offset`, by its first 64 bits. */
  #bucketOf(view: DataView, offset: number): number {
    const [a, b] = this.#factors
    let hash = Math.imul(view.getInt32(offset, true), a) + Math.imul(view.getInt32(offset + 4, true), b)
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
    hash ^= hash >>> 13
    const bucket = hash & this.#mask
    return bucket < this.#buckets ? bucket : bucket & (this.#mask >>> 1)
  }

  #head(bucket: number): number {
    return this.#heads.segment(bucket).getInt32(this.#heads.offset(bucket), true)
  }

  #setHead(bucket: number, slot: number): void {
    this.#heads.segment(bucket).setInt32(this.#heads.offset(bucket), slot, true)
  }

  #putInBucket(slot: number, bucket: number): void {
    this.#set(slot, CHAIN, this.#head(bucket))
    this.#setHead(bucket, slot)
  }

  #takeFromBucket(slot: number): void {
    const bucket = this.#bucketOf(this.#records.segment(slot), this.#records.offset(slot))
    const after = this.#get(slot, CHAIN)
    let before = this.#head(bucket)
    if (before === slot) {
      this.#setHead(bucket, after)
      return
    }
    while (before !== NO_SLOT && this.#get(before, CHAIN) !== slot) before = this.#get(before, CHAIN)
    if (before === NO_SLOT) throw new RangeError('no such slot')
    this.#set(before, CHAIN, after)
  }

  /** Some of the next bucket's parent move into it. */
  #splitBucket(): void {
    const bucket = this.#buckets
    this.#heads.reserve(bucket)
    if (bucket > this.#mask) this.#mask = this.#mask * 2 + 1
    this.#buckets += 1
    const parent = bucket & (this.#mask >>> 1)
    let slot = this.#head(parent)
    this.#setHead(parent, NO_SLOT)
    while (slot !== NO_SLOT) {
      const next = this.#get(slot, CHAIN)
      this.#putInBucket(slot, this.#bucketOf(this.#records.segment(slot), this.#records.offset(slot)))
      slot = next
    }
  }

  #link(slot: number): void {
    const newest = this.#get(NO_SLOT, OLDER)
    this.#set(slot, OLDER, newest)
    this.#set(slot, NEWER, NO_SLOT)
    this.#set(newest, NEWER, slot)
    this.#set(NO_SLOT, OLDER, slot)
  }

  #unlink(slot: number): void {
    const older = this.#get(slot, OLDER)
    const newer = this.#get(slot, NEWER)
    this.#set(older, NEWER, newer)
    this.#set(newer, OLDER, older)
  }
}
