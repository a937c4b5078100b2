import { expect } from 'chai'
import { describe, it } from 'mocha'
import { NO_SLOT, SlotTable } from '../../../src/cache/slot-table.ts'
import { keyOf } from '../../support/authz.ts'

const add = (table: SlotTable, key: string): number => table.add(key, table.nextSerial())

/** Keys of one bucket, whatever the table's factors: the first 64 bits are the same. */
const alike = (n: number): string => `${'ab'.repeat(8)}${n.toString(16).padStart(48, '0')}`

describe('the slot table', () => {
  it('compares the whole key: one digit of difference, wherever, is another key', () => {
    const table = new SlotTable()
    const key = keyOf('token')
    const slot = add(table, key)
    for (let at = 0; at < key.length; at++) {
      const other = `${key.slice(0, at)}${key[at] === '0' ? '1' : '0'}${key.slice(at + 1)}`
      expect(table.find(other), other).to.equal(NO_SLOT)
    }
    expect(table.find(key)).to.equal(slot)
  })

  it('keeps keys apart that share a bucket, in whatever order they go', () => {
    const table = new SlotTable()
    const slots = new Map(Array.from({ length: 500 }, (_, n) => [n, add(table, alike(n))]))
    for (let i = 0; i < 500; i++) {
      for (const n of [0, 17, 250, 499]) expect(table.find(alike(n))).to.equal(slots.get(n) ?? NO_SLOT)
      // The last of the bucket, its first, and from its middle.
      const gone = (i * 211) % 500
      table.remove(table.find(alike(gone)))
      slots.delete(gone)
    }
    expect(table.size).to.equal(0)
  })

  it('finds every key of many while it grows, and a removed one never', () => {
    const table = new SlotTable()
    const count = 30_000
    const slots = new Map<string, number>()
    for (let i = 0; i < count; i++) {
      const key = keyOf(`token${i}`)
      slots.set(key, add(table, key))
      if (i % 3 !== 0) continue
      const gone = keyOf(`token${i / 3}`)
      table.remove(table.find(gone))
      slots.delete(gone)
    }
    expect(table.size).to.equal(slots.size)
    expect(new Set(slots.values()).size).to.equal(slots.size)
    for (let i = 0; i < count; i++) {
      const key = keyOf(`token${i}`)
      expect(table.find(key)).to.equal(slots.get(key) ?? NO_SLOT)
    }
  })

  it('says which slot was not used for longest', () => {
    const table = new SlotTable()
    const [a, b, c] = ['a', 'b', 'c'].map((token) => add(table, keyOf(token)))
    if (a === undefined || b === undefined || c === undefined) throw new Error('three slots')
    table.touch(a)
    table.touch(a)
    const order: number[] = []
    for (let oldest = table.oldest(); oldest !== NO_SLOT; oldest = table.oldest()) {
      order.push(oldest)
      table.remove(oldest)
    }
    expect(order).to.deep.equal([b, c, a])
  })

  it('gives a slot again, with another serial', () => {
    const table = new SlotTable()
    const slot = add(table, keyOf('a'))
    const serial = table.serial(slot)
    table.remove(slot)
    expect(table.serial(slot)).to.equal(0)
    expect(() => table.remove(slot)).to.throw(RangeError)
    expect(add(table, keyOf('b'))).to.equal(slot)
    expect(table.serial(slot)).to.not.be.oneOf([0, serial])
    table.clear()
    expect(table.find(keyOf('b'))).to.equal(NO_SLOT)
    expect(add(table, keyOf('c'))).to.equal(slot)
    expect(new Set([serial, 0, table.serial(slot)]).size).to.equal(3)
  })

  it('has no serial for a slot of before it was cleared, however many there were', () => {
    const table = new SlotTable()
    const slots = Array.from({ length: 10_000 }, (_, i) => add(table, keyOf(`token${i}`)))
    table.clear()
    expect(slots.map((slot) => table.serial(slot)).filter((serial) => serial !== 0)).to.deep.equal([])
    expect(table.oldest()).to.equal(NO_SLOT)
  })

  it('takes nothing for a key but 64 hex digits', () => {
    const table = new SlotTable()
    for (const key of ['', 'token', keyOf('a').slice(1), `${keyOf('a')}0`, `g${keyOf('a').slice(1)}`, 'é'.repeat(64)]) {
      expect(() => table.find(key), key).to.throw(TypeError)
      expect(() => table.add(key, 1), key).to.throw(TypeError)
    }
    expect(table.size).to.equal(0)
  })

  it('finds a key again whatever came between, what is half a key included', () => {
    const table = new SlotTable()
    const slots = ['a', 'b'].map((token) => table.add(keyOf(token), table.nextSerial()))
    for (const between of [keyOf('b'), keyOf('c'), `${keyOf('b').slice(0, 62)}zz`]) {
      expect(table.find(keyOf('a'))).to.equal(slots[0])
      if (between.endsWith('zz')) expect(() => table.find(between)).to.throw(TypeError)
      else table.find(between)
      expect(table.find(keyOf('a'))).to.equal(slots[0])
      expect(table.find(keyOf('b'))).to.equal(slots[1])
    }
  })
})
