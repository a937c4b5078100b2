/**
 * Remembered active answers, as a Check reads them: the members that each Check is asked about are there at once, texts
 * and the reply only where they are asked for.
 */
import type { ActiveAnswer, Claims, ReplySlot } from '../authz/ports.ts'
import { ActiveEntries } from './active-entries.ts'
import type { AnswerStore } from './answer-store.ts'
import { BytePool } from './byte-pool.ts'
import { NO_SLOT, SlotTable } from './slot-table.ts'

/** `capacity`: answers, at least 1. */
export function createActiveAnswers(capacity: number, pool = new BytePool()): AnswerStore<ActiveAnswer> {
  const table = new SlotTable()
  const entries = new ActiveEntries(capacity, table, pool)
  return {
    get(key) {
      const slot = table.find(key)
      if (slot === NO_SLOT) return undefined
      table.touch(slot)
      return new RememberedAnswer(entries, slot)
    },
    set(key, answer) {
      entries.put(key, answer)
    },
    delete(key) {
      const slot = table.find(key)
      entries.drop(slot)
      return slot !== NO_SLOT
    },
    clear: () => entries.clear(),
    size: () => table.size,
  }
}

class RememberedAnswer implements ActiveAnswer {
  readonly active = true
  readonly claims: Claims
  readonly storedAtMs: number
  readonly lifeMs: number
  readonly reply: ReplySlot

  constructor(entries: ActiveEntries, slot: number) {
    const entry = new Entry(entries, slot)
    this.claims = new RememberedClaims(entries, slot, entry)
    this.storedAtMs = entries.storedAtMs(slot)
    this.lifeMs = entries.lifeMs(slot)
    this.reply = entry
  }
}

/** What was in the slot when it was looked up, and nothing that is there later. */
class Entry implements ReplySlot {
  readonly #entries: ActiveEntries
  readonly #slot: number
  readonly #serial: number

  constructor(entries: ActiveEntries, slot: number) {
    this.#entries = entries
    this.#slot = slot
    this.#serial = entries.table.serial(slot)
  }

  copy(owner: object): Buffer | undefined {
    return this.#entries.copyReply(this.#slot, this.#serial, owner)
  }

  keep(owner: object, reply: Uint8Array): void {
    this.#entries.keepReply(this.#slot, this.#serial, owner, reply)
  }

  sub(): string | undefined {
    return this.#entries.sub(this.#slot, this.#serial)
  }

  username(): string | undefined {
    return this.#entries.username(this.#slot, this.#serial)
  }

  json(): string {
    return this.#entries.json(this.#slot, this.#serial)
  }
}

/** `sub`, `username` and `json` throw once the answer is no longer remembered, which no Check lives to see. */
class RememberedClaims implements Claims {
  readonly clientId: string | undefined
  readonly iss: string | undefined
  readonly audience: readonly string[]
  readonly scopes: readonly string[]
  readonly tokenType: string | undefined
  readonly expSec: number | undefined
  readonly nbfSec: number | undefined
  readonly isAccessToken: boolean
  readonly isBound: boolean
  readonly #entry: Entry

  constructor(entries: ActiveEntries, slot: number, entry: Entry) {
    const shared = entries.shared(slot)
    this.clientId = shared.clientId
    this.iss = shared.iss
    this.audience = shared.audience
    this.scopes = shared.scopes
    this.tokenType = shared.tokenType
    this.expSec = entries.expSec(slot)
    this.nbfSec = entries.nbfSec(slot)
    this.isAccessToken = shared.isAccessToken
    this.isBound = shared.isBound
    this.#entry = entry
  }

  get sub(): string | undefined {
    return this.#entry.sub()
  }

  get username(): string | undefined {
    return this.#entry.username()
  }

  get json(): string {
    return this.#entry.json()
  }
}
