/** Remembered inactive answers: when each arrived, and for how long it is good. */
import type { InactiveAnswer } from '../authz/ports.ts'
import type { AnswerStore } from './answer-store.ts'
import { Records } from './records.ts'
import { NO_SLOT, SlotTable } from './slot-table.ts'

/** One record: two doubles. */
const STORED_AT = 0
const LIFE = 8
const RECORD_BYTES = 16

/** `capacity`: answers, at least 1. */
export function createInactiveAnswers(capacity: number): AnswerStore<InactiveAnswer> {
  const table = new SlotTable()
  const records = new Records(RECORD_BYTES)

  /** Most often there is none at all, and looking for a key that is not there costs as much as finding one. */
  const find = (key: string): number => (table.size === 0 ? NO_SLOT : table.find(key))

  function remove(key: string): boolean {
    const slot = find(key)
    if (slot === NO_SLOT) return false
    table.remove(slot)
    return true
  }

  return {
    get(key) {
      const slot = find(key)
      if (slot === NO_SLOT) return undefined
      table.touch(slot)
      const segment = records.segment(slot)
      const offset = records.offset(slot)
      return {
        active: false,
        storedAtMs: segment.getFloat64(offset + STORED_AT, true),
        lifeMs: segment.getFloat64(offset + LIFE, true),
      }
    },
    set(key, { storedAtMs, lifeMs }) {
      remove(key)
      if (table.size >= capacity) table.remove(table.oldest())
      const slot = table.add(key, table.nextSerial())
      records.reserve(slot)
      const segment = records.segment(slot)
      const offset = records.offset(slot)
      segment.setFloat64(offset + STORED_AT, storedAtMs, true)
      segment.setFloat64(offset + LIFE, lifeMs, true)
    },
    delete: remove,
    clear() {
      table.clear()
      records.clear()
    },
    size: () => table.size,
  }
}
