import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { systemClock } from '../../src/clock.ts'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

describe('F28 the event loop stalls', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('an allow that became ready after the deadline is not sent as one', async () => {
    pair = await startPair()
    pair.keyManager.answer(() => {
      // Key manager and sidecar share this process: the loop stands still while the answer is on its way.
      const until = performance.now() + 500
      while (performance.now() < until);
      return { body: { active: true, exp: inSeconds(300) } }
    })
    const outcome = await pair.ask('Bearer t', { deadlineMs: 200 }).catch(() => undefined)
    expect([outcome].filter((one) => one?.allowed === true)).to.have.length(FIGURES.F28.lateAllows)
    // The caller gave up; what the sidecar decided for it is no allow.
    pair.keyManager.answer({ body: { active: false } })
    await pair.ask('Bearer other')
    expect(await pair.metric('microgw_checks_total{decision="allow",reason="allowed"}')).to.equal(
      FIGURES.F28.lateAllows,
    )
  })

  it('a remembered allow is not sent either where the stall falls between reading the call and answering it', async () => {
    // The clock jumps at its second reading of a call: the first is the arrival. No real time passes, so that the reply is seen.
    let readings = Number.NaN
    let stalledMs = 0
    const clock = {
      ...systemClock,
      monotonicMs() {
        readings += 1
        if (readings === 2) stalledMs += 500
        return systemClock.monotonicMs() + stalledMs
      },
    }
    pair = await startPair({ clock })
    pair.keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
    expect((await pair.ask('Bearer t')).allowed).to.equal(true)
    readings = 0
    const late = await pair.ask('Bearer t', { deadlineMs: 400 })
    expect([late].filter((one) => one.allowed)).to.have.length(FIGURES.F28.lateAllows)
    expect(late.reason).to.equal('key_manager_unavailable')
    // In time again, without asking anew.
    expect(await pair.ask('Bearer t', { deadlineMs: 400 })).to.include({ allowed: true, cache: 'hit' })
    expect(pair.keyManager.requests).to.have.length(1)
  })
})
