import { expect } from 'chai'
import { describe, it } from 'mocha'
import { restartPauseMs } from '../../../src/workers/restart-pause.ts'

describe('the pause before a worker is replaced', () => {
  const pauses = (lives: readonly number[]): number[] => {
    let soonEnded = 0
    return lives.map((livedMs) => {
      const pause = restartPauseMs(soonEnded, livedMs)
      soonEnded = pause.soonEnded
      return pause.ms
    })
  }

  it('is none the first time, and grows while they end soon, to ten seconds', () => {
    expect(pauses([0, 0, 0, 0, 0, 0, 0, 0, 0])).to.deep.equal([0, 250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000])
  })

  it('is none again after one that served for a minute', () => {
    expect(pauses([10, 10, 60_000, 10, 10])).to.deep.equal([0, 250, 0, 250, 500])
  })
})
