import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

describe('F27 a flood of different bad tokens', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('stays within its budget and leaves the good tokens where they are', async () => {
    pair = await startPair({ flags: { 'caching.inactiveCapacity': '1000', 'log.maxDenyPerSecond': '1' } })
    const good = Array.from({ length: 100 }, (_, i) => `good${i}`)
    for (const token of good) pair.keyManager.tokens.set(token, { active: true, exp: inSeconds(300) })
    await Promise.all(good.map((token) => pair.ask(`Bearer ${token}`)))
    for (let sent = 0; sent < FIGURES.F27.badTokens; sent += 500) {
      await Promise.all(Array.from({ length: 500 }, (_, i) => pair.ask(`Bearer bad${sent + i}`)))
    }
    const again = await Promise.all(good.map((token) => pair.ask(`Bearer ${token}`)))
    expect(again.every((one) => one.allowed && one.cache === 'hit')).to.equal(true)
    expect(await pair.metric('microgw_cache_entries{store="memory"}')).to.be.at.most(1000 + good.length)
  }).timeout(120_000)
})
