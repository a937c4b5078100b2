import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

describe('F26 SIGTERM under load', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('finishes what is in flight, then nothing answers any more', async () => {
    pair = await startPair({ flags: { 'extAuthz.drainDelay': '0s', 'extAuthz.drainTimeout': '5s' } })
    const held = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    pair.keyManager.answer(async () => {
      arrived.resolve()
      await held.promise
      return { body: { active: true, exp: inSeconds(300) } }
    })
    const inFlight = Array.from({ length: 50 }, () => pair.ask('Bearer slow'))
    await arrived.promise
    const drained = pair.running.app.drain()
    // Answers of the admin listener show that the loop has turned: the drain is under way before the key manager answers.
    for (let i = 0; i < 50; i++) await fetch(`http://${pair.running.app.addresses.admin}/livez`)
    held.resolve()
    const seen = await Promise.all(inFlight)
    expect(seen.filter((one) => !one.allowed)).to.have.length(FIGURES.F26.failedInFlight)
    await drained
    const after = await pair.ask('Bearer slow', { deadlineMs: 300 }).catch(() => 'refused')
    expect(after).to.equal('refused')
  })
})
