import { expect } from 'chai'
import { describe, it } from 'mocha'
import { marginMs, waitUntilMs } from '../../../src/server/deadline.ts'
import { createDecisionIds, DECISION_ID_LENGTH } from '../../../src/server/decision-id.ts'

describe('the time a Check may wait', () => {
  const cases: readonly [number, number][] = [
    [-5, 10],
    [50, 10],
    [100, 10],
    [200, 20],
    [1000, 100],
    [600_000, 100],
  ]
  for (const [left, margin] of cases) {
    it(`P10 takes ${margin} ms off ${left} ms`, () => {
      expect(marginMs(left)).to.equal(margin)
    })
  }

  it('P10 ends at the deadline less the margin where that is nearer', () => {
    expect(waitUntilMs(1000, 1200, 2000)).to.equal(1180)
  })

  it('P10 ends with keyManager.timeout where that is nearer, or no deadline was set', () => {
    expect(waitUntilMs(1000, 601_000, 2000)).to.equal(3000)
    expect(waitUntilMs(1000, Number.POSITIVE_INFINITY, 2000)).to.equal(3000)
  })
})

describe('decision ids', () => {
  it('are a prefix of the process and a counter, of fixed width', () => {
    const next = createDecisionIds('0a1b2c3d')
    expect([next(), next()]).to.deep.equal(['0a1b2c3d-000000000001', '0a1b2c3d-000000000002'])
    expect(createDecisionIds()())
      .to.match(/^[0-9a-f]{8}-0{11}1$/)
      .and.have.length(DECISION_ID_LENGTH)
  })
})
