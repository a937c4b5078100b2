import { expect } from 'chai'
import { describe, it } from 'mocha'
import { BytePool, NOWHERE } from '../../../src/cache/byte-pool.ts'

/** Around every size of a cell, and beyond the largest. */
const LENGTHS = Array.from({ length: 400 }, (_, i) => i * 50).concat([16_375, 16_376, 16_377, 70_000])
const MB = 1024 * 1024

const bytesOf = (owner: number, length: number): Buffer => Buffer.alloc(length, owner % 251)

/** Numbers that look random, the same ones at each run: each is below what it is asked for. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 8) % below
  }
}

describe('the byte pool', () => {
  it('gives back what was added, whatever its length, while others come and go', () => {
    const pool = new BytePool()
    const held = LENGTHS.map((length, owner) => ({ owner, length, at: pool.add(owner, bytesOf(owner, length)) }))
    for (const { owner, at } of held.filter(({ owner }) => owner % 2 === 0)) pool.free(at, owner)
    const more = LENGTHS.map((length, index) => {
      const owner = 1000 + index
      return { owner, length, at: pool.add(owner, bytesOf(owner, length)) }
    })
    const left = [...held.filter(({ owner }) => owner % 2 === 1), ...more]
    expect(new Set(left.map(({ at }) => at)).size).to.equal(left.length)
    expect(left.map(({ at }) => at)).to.not.include(NOWHERE)
    for (const { owner, length, at } of left) {
      expect(pool.length(at, owner)).to.equal(length)
      expect(pool.copy(at, owner).equals(bytesOf(owner, length)), String(length)).to.equal(true)
    }
  })

  it('hands out copies, and copies what it is given', () => {
    const pool = new BytePool()
    for (const length of [100, 20_000]) {
      const given = bytesOf(7, length)
      const at = pool.add(7, given)
      given.fill(0)
      pool.copy(at, 7).fill(0)
      expect(pool.copy(at, 7).equals(bytesOf(7, length))).to.equal(true)
    }
  })

  it('reads parts as UTF-8, and none beyond the owner’s bytes', () => {
    const pool = new BytePool()
    for (const filler of ['', 'x'.repeat(20_000)]) {
      const at = pool.add(1, Buffer.from(`aé𝄞${filler}`))
      expect(pool.text(at, 1, 0, 1)).to.equal('a')
      expect(pool.text(at, 1, 1, 7)).to.equal('é𝄞')
      expect(() => pool.text(at, 1, 0, 8 + filler.length)).to.throw(RangeError)
    }
  })

  it('shows nothing to another owner, and nothing that was freed: small and large', () => {
    for (const length of [0, 100, 20_000]) {
      const pool = new BytePool()
      const at = pool.add(1, bytesOf(1, length))
      const uses = [
        (owner: number) => pool.copy(at, owner),
        (owner: number) => pool.length(at, owner),
        (owner: number) => pool.text(at, owner, 0, 0),
        (owner: number) => pool.free(at, owner),
      ]
      for (const use of uses) expect(() => use(2)).to.throw('belong to another')
      pool.free(at, 1)
      for (const use of uses) expect(() => use(1)).to.throw('belong to another')
      expect(pool.add(2, bytesOf(2, length)), 'the place is used again').to.equal(at)
      for (const use of uses) expect(() => use(1)).to.throw('belong to another')
      expect(pool.copy(at, 2).equals(bytesOf(2, length))).to.equal(true)
    }
  })

  it('uses the room of what was freed again, for other sizes too', () => {
    const pool = new BytePool()
    for (const [round, length] of [500, 700, 2000, 60, 9000, 500].entries()) {
      const count = Math.floor((8 * MB) / length)
      const held = Array.from({ length: count }, () => pool.add(round, bytesOf(round, length)))
      // An eighth between sizes, headers, and what is left over in pages.
      expect(pool.reservedBytes, String(length)).to.be.at.most(16 * MB)
      for (const at of held) pool.free(at, round)
    }
  })

  it('holds no more than each size’s most, where answers of another size slowly take over', () => {
    const pool = new BytePool()
    const count = 10_000
    const held = Array.from({ length: count }, () => pool.add(1, bytesOf(1, 600)))
    const before = pool.reservedBytes
    for (let round = 0; round < 5; round++) {
      const length = round % 2 === 0 ? 900 : 600
      for (let i = 0; i < count; i++) {
        // A stride through all, so that every page keeps survivors to the end.
        const index = (i * 7919) % count
        pool.free(held[index] ?? NOWHERE, 1)
        held[index] = pool.add(1, bytesOf(1, length))
      }
      expect(pool.reservedBytes).to.be.at.most(before + count * 1100)
    }
  })

  it('never lets two have one place, while pages of few cells fill, empty and change their size', () => {
    const pool = new BytePool()
    const held: { readonly owner: number; readonly length: number; readonly at: number }[] = []
    const next = numbers(1)
    const isWhole = ({ owner, length, at }: (typeof held)[number]): boolean =>
      pool.copy(at, owner).equals(bytesOf(owner, length))
    let owner = 0
    for (let wave = 0; wave < 60; wave++) {
      // Mostly one size, another one each time; then all but a few go, so that some pages empty and others do not.
      for (let i = 0; i < 400; i++) {
        owner += 1
        const length = [9500, 12_500, 15_500][(wave + (next(4) === 0 ? 1 : 0)) % 3] ?? 0
        held.push({ owner, length, at: pool.add(owner, bytesOf(owner, length)) })
      }
      expect(held.filter((one) => !isWhole(one))).to.deep.equal([])
      while (held.length > 40) {
        const [gone] = held.splice(next(held.length), 1)
        if (gone !== undefined) pool.free(gone.at, gone.owner)
      }
    }
    expect(held.filter((one) => !isWhole(one))).to.deep.equal([])
  })

  it('is empty after it was cleared', () => {
    const pool = new BytePool()
    const places = [pool.add(1, bytesOf(1, 100)), pool.add(1, bytesOf(1, 20_000))]
    pool.clear()
    expect(pool.reservedBytes).to.equal(0)
    for (const at of places) expect(() => pool.copy(at, 1)).to.throw()
    expect(pool.copy(pool.add(2, bytesOf(2, 100)), 2).equals(bytesOf(2, 100))).to.equal(true)
  })
})
