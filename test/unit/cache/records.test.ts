import { expect } from 'chai'
import { describe, it } from 'mocha'
import { Records } from '../../../src/cache/records.ts'

const RECORDS = 10_000

describe('records', () => {
  it('keep what was written, each its own, while their number grows', () => {
    const records = new Records(16)
    for (let record = 0; record < RECORDS; record++) {
      records.reserve(record)
      expect(records.segment(record).getFloat64(records.offset(record))).to.equal(0)
      records.segment(record).setFloat64(records.offset(record), record + 0.5)
      records.segment(record).setFloat64(records.offset(record) + 8, -record)
    }
    for (let record = 0; record < RECORDS; record++) {
      expect(records.segment(record).getFloat64(records.offset(record))).to.equal(record + 0.5)
      expect(records.segment(record).getFloat64(records.offset(record) + 8)).to.equal(-record)
    }
  })

  it('throw where there is none', () => {
    const records = new Records(16)
    expect(() => records.segment(0)).to.throw(RangeError)
    records.reserve(0)
    expect(() => records.segment(1_000_000)).to.throw(RangeError)
    records.clear()
    expect(() => records.segment(0)).to.throw(RangeError)
  })
})
