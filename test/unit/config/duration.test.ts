import { expect } from 'chai'
import fc from 'fast-check'
import { describe, it } from 'mocha'
import { formatDuration, parseDuration, wholeMs } from '../../../src/config/duration.ts'

describe('durations', () => {
  it('are read in their units', () => {
    expect(['250ms', '10s', '15m', '1h', '1.5s', '0s', '1.1s'].map(parseDuration)).to.deep.equal([
      250, 10_000, 900_000, 3_600_000, 1500, 0, 1100,
    ])
  })

  it('are refused in any other form', () => {
    for (const text of [
      '',
      '5',
      '5 s',
      's',
      '-1s',
      '1d',
      '1S',
      '1e3s',
      '.5s',
      '1s ',
      'Infinitys',
      '1,5s',
      '999999999999999h',
      '１s',
    ]) {
      expect(parseDuration(text), text).to.equal(undefined)
    }
  })

  it('survive writing and reading again', () => {
    fc.assert(fc.property(fc.nat(), (ms) => parseDuration(formatDuration(ms)) === ms))
  })

  it('are whole ms, never negative, and never zero unless zero was written', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1e6, noNaN: true }),
        fc.constantFrom('ms' as const, 's' as const, 'm' as const, 'h' as const),
        (amount, unit) => {
          const ms = wholeMs(amount, unit)
          return ms === undefined || (Number.isSafeInteger(ms) && ms >= 0 && (ms > 0 || amount < 1e-6))
        },
      ),
    )
  })

  it('never throw, whatever the text', () => {
    fc.assert(fc.property(fc.string(), (text) => parseDuration(text) === undefined || /\d/.test(text)))
  })
})
