import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
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
})
