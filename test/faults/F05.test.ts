import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { createFakeClock } from '../support/clock.ts'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

describe('F05 500, 502, 503', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('opens the breaker after five, caches nothing, and lets one probe through at a time', async () => {
    const clock = createFakeClock({ wallMs: Date.now() })
    pair = await startPair({ clock })
    for (const status of [500, 502, 503, 500, 502]) {
      pair.keyManager.answer({ status })
      expect((await pair.ask(`Bearer t${status}`)).reason).to.equal('key_manager_unavailable')
    }
    expect(pair.keyManager.requests).to.have.length(FIGURES.F05.failures)
    // Were one of the failures remembered, this would be answered from memory.
    const again = await pair.ask('Bearer t500')
    expect(again).to.include({ allowed: false, cache: 'miss' })
    const refused = await Promise.all(Array.from({ length: 20 }, (_, i) => pair.ask(`Bearer r${i}`)))
    expect(refused.every((one) => one.status === 'ServiceUnavailable')).to.equal(true)
    expect(pair.keyManager.requests).to.have.length(FIGURES.F05.failures)
    expect(await pair.metric('microgw_breaker_state{state="open"}')).to.equal(1)
    clock.advance(1001)
    await Promise.all(Array.from({ length: 20 }, (_, i) => pair.ask(`Bearer p${i}`)))
    expect(pair.keyManager.requests.length - FIGURES.F05.failures).to.equal(FIGURES.F05.probesWhileOpen)
    clock.advance(1001)
    pair.keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
    expect((await pair.ask('Bearer t500')).allowed, 'a token that failed before').to.equal(true)
    expect(await pair.metric('microgw_breaker_state{state="closed"}')).to.equal(1)
  })
})
