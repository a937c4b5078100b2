/**
 * Remembered active answers as records and bytes: who reads one names its slot and its serial. An entry that went, and
 * one whose slot is another's by now, are told from it by the serial, and the bytes of an entry by their owner besides.
 */
import type { ActiveAnswer } from '../authz/ports.ts'
import { type BytePool, NOWHERE } from './byte-pool.ts'
import { Records } from './records.ts'
import { createSharedClaims, type SharedClaims } from './shared-claims.ts'
import { NO_SLOT, type SlotTable } from './slot-table.ts'

/** One record: doubles, then 32-bit integers. */
const STORED_AT = 0
const LIFE = 8
/** Seconds since the epoch; NaN: the answer has none. */
const EXP = 16
const NBF = 24
/** Of `sub`, `username` and `json`, one behind the other. */
const TEXT = 32
const REPLY = 40
/** How many bytes of the text; ABSENT: the answer has none. */
const SUB_BYTES = 48
const USERNAME_BYTES = 52
/** Who kept the reply. */
const KEEPER = 56
const RECORD_BYTES = 64

const ABSENT = -1

export class ActiveEntries {
  readonly table: SlotTable
  readonly #capacity: number
  readonly #records = new Records(RECORD_BYTES)
  readonly #pool: BytePool
  /** By slot. */
  readonly #shared: (SharedClaims | undefined)[] = []
  readonly #share = createSharedClaims()
  /** Whose replies are good; those of an earlier one are not found any more. */
  #keeper: object | undefined
  #keeperNumber = 0

  constructor(capacity: number, table: SlotTable, pool: BytePool) {
    this.#capacity = capacity
    this.table = table
    this.#pool = pool
  }

  put(key: string, { claims, storedAtMs, lifeMs }: ActiveAnswer): void {
    const { sub, username, json, expSec = Number.NaN, nbfSec = Number.NaN } = claims
    this.drop(this.table.find(key))
    // UTF-8 would not give it back; no answer of a key manager is so.
    if (!json.isWellFormed() || sub?.isWellFormed() === false || username?.isWellFormed() === false) return
    if (this.table.size >= this.#capacity) this.drop(this.table.oldest())
    const shared = this.#share(claims)
    const serial = this.table.nextSerial()
    const text = this.#pool.addTexts(serial, [sub ?? '', username ?? '', json])
    const slot = this.table.add(key, serial)
    this.#shared[slot] = shared
    this.#records.reserve(slot)
    const record = this.#records.segment(slot)
    const at = this.#records.offset(slot)
    record.setFloat64(at + STORED_AT, storedAtMs, true)
    record.setFloat64(at + LIFE, lifeMs, true)
    record.setFloat64(at + EXP, expSec, true)
    record.setFloat64(at + NBF, nbfSec, true)
    record.setFloat64(at + TEXT, text, true)
    record.setFloat64(at + REPLY, NOWHERE, true)
    record.setInt32(at + SUB_BYTES, sub === undefined ? ABSENT : Buffer.byteLength(sub), true)
    record.setInt32(at + USERNAME_BYTES, username === undefined ? ABSENT : Buffer.byteLength(username), true)
  }

  /** Nothing where the slot is NO_SLOT. */
  drop(slot: number): void {
    if (slot === NO_SLOT) return
    const serial = this.table.serial(slot)
    this.#pool.free(this.#double(slot, TEXT), serial)
    const reply = this.#double(slot, REPLY)
    if (reply !== NOWHERE) this.#pool.free(reply, serial)
    this.#shared[slot] = undefined
    this.table.remove(slot)
  }

  /** Keepers and serials go on. */
  clear(): void {
    this.table.clear()
    this.#records.clear()
    this.#pool.clear()
    this.#shared.length = 0
  }

  shared(slot: number): SharedClaims {
    const shared = this.#shared[slot]
    if (shared === undefined) throw new RangeError('no such entry')
    return shared
  }

  storedAtMs(slot: number): number {
    return this.#double(slot, STORED_AT)
  }

  lifeMs(slot: number): number {
    return this.#double(slot, LIFE)
  }

  expSec(slot: number): number | undefined {
    const seconds = this.#double(slot, EXP)
    return Number.isNaN(seconds) ? undefined : seconds
  }

  nbfSec(slot: number): number | undefined {
    const seconds = this.#double(slot, NBF)
    return Number.isNaN(seconds) ? undefined : seconds
  }

  /** As `username` and `json`: throws where the entry is no longer there, since what it said must not be guessed. */
  sub(slot: number, serial: number): string | undefined {
    this.#expectThere(slot, serial)
    const bytes = this.#integer(slot, SUB_BYTES)
    return bytes === ABSENT ? undefined : this.#pool.text(this.#double(slot, TEXT), serial, 0, bytes)
  }

  username(slot: number, serial: number): string | undefined {
    this.#expectThere(slot, serial)
    const from = Math.max(0, this.#integer(slot, SUB_BYTES))
    const bytes = this.#integer(slot, USERNAME_BYTES)
    return bytes === ABSENT ? undefined : this.#pool.text(this.#double(slot, TEXT), serial, from, from + bytes)
  }

  json(slot: number, serial: number): string {
    this.#expectThere(slot, serial)
    const from = Math.max(0, this.#integer(slot, SUB_BYTES)) + Math.max(0, this.#integer(slot, USERNAME_BYTES))
    const text = this.#double(slot, TEXT)
    return this.#pool.text(text, serial, from, this.#pool.length(text, serial))
  }

  copyReply(slot: number, serial: number, owner: object): Buffer | undefined {
    if (owner !== this.#keeper || this.table.serial(slot) !== serial) return undefined
    const reply = this.#double(slot, REPLY)
    if (reply === NOWHERE || this.#integer(slot, KEEPER) !== this.#keeperNumber) return undefined
    return this.#pool.copy(reply, serial)
  }

  keepReply(slot: number, serial: number, owner: object, bytes: Uint8Array): void {
    if (this.table.serial(slot) !== serial) return
    if (owner !== this.#keeper) {
      this.#keeper = owner
      this.#keeperNumber += 1
    }
    const before = this.#double(slot, REPLY)
    const reply = this.#pool.add(serial, bytes)
    if (before !== NOWHERE) this.#pool.free(before, serial)
    const record = this.#records.segment(slot)
    const at = this.#records.offset(slot)
    record.setFloat64(at + REPLY, reply, true)
    record.setInt32(at + KEEPER, this.#keeperNumber, true)
  }

  #expectThere(slot: number, serial: number): void {
    if (this.table.serial(slot) !== serial) throw new Error('the answer is no longer remembered')
  }

  #double(slot: number, field: number): number {
    return this.#records.segment(slot).getFloat64(this.#records.offset(slot) + field, true)
  }

  #integer(slot: number, field: number): number {
    return this.#records.segment(slot).getInt32(this.#records.offset(slot) + field, true)
  }
}
