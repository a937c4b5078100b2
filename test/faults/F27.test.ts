import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { activeAnswer, inactiveAnswer } from '../../src/authz/introspection.ts'
import { createAnswerCache, createAnswerMemory } from '../../src/cache/answer-cache.ts'
import { claims } from '../support/authz.ts'
import { createFakeClock } from '../support/clock.ts'
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

  it('1,000,000 in process leave no more than the budget, and the good answer where it is', async () => {
    pair = await startPair()
    const clock = createFakeClock()
    const memory = createAnswerMemory({ capacity: 100, inactiveCapacity: 10_000 })
    const cache = createAnswerCache(memory, { clock, metrics: { cacheOperation() {}, waiterJoined() {} } })
    const life = { activeLifeMs: 60_000, inactiveLifeMs: 10_000, timestampSkewMs: 0 }
    cache.remember('good', activeAnswer(claims(), clock.wallMs(), clock.monotonicMs(), life))
    for (let i = 0; i < FIGURES.F27.inProcess; i++) {
      cache.remember(`bad${i}`, inactiveAnswer(clock.monotonicMs(), life))
      if (i % 1000 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await new Promise((resolve) => setImmediate(resolve))
    expect(memory.inactive.size()).to.equal(10_000)
    expect(cache.peek('good')?.active).to.equal(true)
  }).timeout(60_000)
})
