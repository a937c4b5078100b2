import { expect } from 'chai'
import fc from 'fast-check'
import { describe, it } from 'mocha'
import { activeAnswer, secondsGood } from '../../src/authz/introspection.ts'
import { claims } from '../support/authz.ts'

const wall = fc.integer({ min: 0, max: 4_102_444_800_000 })
const exp = fc.option(fc.oneof(fc.integer({ min: -1, max: 4_102_444_800 }), fc.maxSafeInteger()), { nil: undefined })
const life = fc.integer({ min: 0, max: 86_400_000 })

describe('property: the life of an answer', () => {
  it('C31 is whole, never negative, never past the configured life nor exp', () => {
    fc.assert(
      fc.property(wall, exp, life, (nowWallMs, expSec, activeLifeMs) => {
        const settings = { activeLifeMs, inactiveLifeMs: 0, timestampSkewMs: 5000 }
        const { lifeMs } = activeAnswer(claims({ expSec }), nowWallMs, 0, settings)
        expect(Number.isSafeInteger(lifeMs)).to.equal(true)
        expect(lifeMs).to.be.within(0, activeLifeMs)
        if (lifeMs > 0 && expSec !== undefined) expect(nowWallMs + lifeMs).to.be.at.most(expSec * 1000)
        if (expSec === undefined) expect(lifeMs).to.equal(activeLifeMs)
      }),
    )
  })

  it('max_age_seconds never promises more than is left by either clock', () => {
    fc.assert(
      fc.property(wall, exp, life, fc.nat(90_000_000), (nowWallMs, expSec, activeLifeMs, laterMs) => {
        const settings = { activeLifeMs, inactiveLifeMs: 0, timestampSkewMs: 0 }
        const answer = activeAnswer(claims({ expSec }), nowWallMs, 0, settings)
        const seconds = secondsGood(answer, nowWallMs + laterMs, laterMs)
        expect(seconds).to.be.at.least(0)
        expect(seconds * 1000).to.be.at.most(Math.max(0, answer.lifeMs - laterMs))
      }),
    )
  })
})
