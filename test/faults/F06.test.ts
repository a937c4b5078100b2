import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { createFakeClock } from '../support/clock.ts'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

describe('F06 429 with Retry-After', () => {
  let pair: Pair
  afterEach(() => pair.close())

  for (const [written, seconds] of [
    ['3', 3],
    ['garbage', 1],
    ['315360000', FIGURES.F06.longestPauseSeconds],
    ['Fri, 31 Dec 2100 23:59:59 GMT', FIGURES.F06.longestPauseSeconds],
  ] as const) {
    it(`honours "${written}" for ${seconds} s`, async () => {
      const clock = createFakeClock({ wallMs: Date.now() })
      pair = await startPair({ clock })
      pair.keyManager.answer({ status: 429, headers: { 'retry-after': written } })
      expect((await pair.ask('Bearer first')).headers['retry-after']).to.equal(String(seconds))
      pair.keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
      clock.advance(seconds * 1000 - 1)
      expect((await pair.ask('Bearer second')).reason).to.equal('key_manager_unavailable')
      expect(pair.keyManager.requests.length - 1).to.equal(FIGURES.F06.callsBeforeIt)
      clock.advance(2)
      expect((await pair.ask('Bearer second')).allowed).to.equal(true)
    })
  }

  it('honours a date near by', async () => {
    const clock = createFakeClock({ wallMs: Math.floor(Date.now() / 1000) * 1000 })
    pair = await startPair({ clock })
    pair.keyManager.answer({ status: 429, headers: { 'retry-after': new Date(clock.wallMs() + 4000).toUTCString() } })
    expect((await pair.ask('Bearer first')).headers['retry-after']).to.equal('4')
    pair.keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
    clock.advance(3999)
    expect((await pair.ask('Bearer second')).reason).to.equal('key_manager_unavailable')
    expect(pair.keyManager.requests.length - 1).to.equal(FIGURES.F06.callsBeforeIt)
    clock.advance(2)
    expect((await pair.ask('Bearer second')).allowed).to.equal(true)
  })
})
