import { expect } from 'chai'
import { describe, it } from 'mocha'
import { countWords, distanceWords, durationWords, instantWords, shareWords } from '../../../src/server/words.ts'

describe('figures in words', () => {
  it('says durations by their two largest units', () => {
    const said = [0, 940, 1_000, 9_990, 12_345, 60_000, 61_000, 3_599_000, 3_600_000, 8_000_000, 86_400_000, 2e8]
    expect(said.map(durationWords)).to.deep.equal([
      ...['0 ms', '940 ms', '1.0 s', '9.9 s', '12 s', '1 min', '1 min 1 s', '59 min', '1 h', '2 h 13 min', '1 d'],
      '2 d 7 h',
    ])
  })

  it('says how far an instant is, before and after now', () => {
    const now = Date.parse('2026-11-25T12:00:00.000Z')
    expect(distanceWords('2026-11-25T11:59:48.000Z', now)).to.equal('12 s ago')
    expect(distanceWords('2026-11-25T12:42:00.000Z', now)).to.equal('in 42 min')
    expect(distanceWords('2026-11-25T12:00:00.400Z', now)).to.equal('just now')
    expect(distanceWords('no instant', now)).to.equal('at an unknown time')
    expect(instantWords('2026-11-25T11:59:48.123Z')).to.equal('2026-11-25 11:59:48 UTC')
  })

  it('never rounds a share to all or nothing', () => {
    expect(shareWords(0, 0)).to.equal('0 %')
    expect(shareWords(1, 100_000)).to.equal('under 0.1 %')
    expect(shareWords(99_999, 100_000)).to.equal('over 99.9 %')
    expect(shareWords(931, 1_000)).to.equal('93.1 %')
    expect(shareWords(5, 5)).to.equal('100 %')
    expect(countWords(1_234_567)).to.equal('1,234,567')
  })
})
