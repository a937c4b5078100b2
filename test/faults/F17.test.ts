import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { createFakeClock } from '../support/clock.ts'
import { type Pair, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

describe('F17 the wall clock jumps an hour either way', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('never serves past exp or past its life', async () => {
    const clock = createFakeClock({ wallMs: Date.now() })
    pair = await startPair({ clock })
    const now = clock.wallMs()
    pair.keyManager.answer({ body: { active: true, exp: Math.floor(now / 1000) + 600 } })
    expect((await pair.ask('Bearer t')).allowed).to.equal(true)
    clock.setWall(now + 3_600_000)
    const after = await pair.ask('Bearer t')
    expect([after].filter((one) => one.allowed)).to.have.length(FIGURES.F17.allowsPastExp)
    expect(after.reason).to.equal('expired_token')
    clock.setWall(now - 3_600_000)
    expect((await pair.ask('Bearer u')).cache).to.equal('miss')
    clock.advance(15 * 60_000)
    expect((await pair.ask('Bearer u')).cache, 'past its life by the monotonic clock').to.equal('miss')
  })
})
