import { Socket } from 'node:net'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { createHandOver } from '../../../src/workers/hand-over.ts'
import { createSlot, type Slot } from '../../../src/workers/slot.ts'
import { fakeWorker } from '../../support/fake-worker.ts'

/** Undefined: one that is about to start. */
function pool(missed: readonly (number | undefined)[], listeners = 1) {
  const workers = missed.map((beats) => fakeWorker(beats ?? 0))
  const slots = workers.map(
    (process, index): Slot => ({
      ...createSlot(index + 1),
      process,
      generation: missed[index] === undefined ? undefined : 1,
    }),
  )
  const handOver = createHandOver(slots, listeners)
  handOver.begin()
  return { slots, handOver, given: () => workers.map(({ connections }) => connections) }
}

describe('who is given a connection', () => {
  const give = ({ handOver }: ReturnType<typeof pool>, count: number, listener = 0): void => {
    for (let index = 0; index < count; index += 1) handOver.give(new Socket(), listener)
  }

  for (const [what, missed, given] of [
    ['all in turn', [0, 1], [4, 4]],
    ['none that is late, where another is not', [2, 1], [0, 8]],
    ['none that is about to start', [undefined, 0], [0, 8]],
    ['all in turn where all are late', [3, 3], [4, 4]],
    ['where all are late, who is so for the least', [5, 2, 2], [0, 4, 4]],
    ['one that is late before one that is about to start', [undefined, 4], [0, 8]],
  ] as const)
    it(what, () => {
      const workers = pool(missed)
      give(workers, 8)
      expect(workers.given()).to.deep.equal(given)
    })

  it('the worker of its address, as long as that is not later than the others', () => {
    for (const [missed, given] of [
      [
        [0, 0],
        [0, 4],
      ],
      [
        [0, 2],
        [4, 0],
      ],
      [
        [3, 3],
        [0, 4],
      ],
    ] as const) {
      const workers = pool(missed, 2)
      give(workers, 4, 1)
      expect(workers.given()).to.deep.equal(given)
    }
  })

  it('the first that is there again where there was none', () => {
    const workers = pool([undefined, undefined])
    give(workers, 4)
    expect(workers.given()).to.deep.equal([0, 0])
    const [, second] = workers.slots
    if (second !== undefined) second.generation = 1
    workers.handOver.resume()
    expect(workers.given()).to.deep.equal([0, 4])
  })
})
