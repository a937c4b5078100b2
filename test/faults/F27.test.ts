import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { IMAGE } from '../../bench/servers/node-settings.ts'
import { activeAnswer, inactiveAnswer } from '../../src/authz/introspection.ts'
import type { Answer } from '../../src/authz/ports.ts'
import { type AnswerMemory, createAnswerCache, createAnswerMemory } from '../../src/cache/answer-cache.ts'
import { basicConfig } from '../support/app.ts'
import { claims, keyOf } from '../support/authz.ts'
import { type CheckClient, connectChecks, httpCheck } from '../support/check-client.ts'
import { createFakeClock } from '../support/clock.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'
import { inSeconds, type Seen, seenIn } from '../support/pair.ts'
import { FIGURES } from './figures.ts'
import { type OwnProcess, startOwnProcess } from './own-process.ts'

const { goodTokens, inactiveCapacity, overTheWire, inAll, goodHitShare, rssBytes } = FIGURES.F27
const AT_ONCE = 500
const ORDINARY = 400_000

// Both measure against a process that has had ordinary traffic: V8 lets any traffic take what it likes at first.
describe('F27 a flood of different bad tokens', () => {
  const good = Array.from({ length: goodTokens }, (_, i) => `good${i}`)

  describe('over the wire', () => {
    let keyManager: ScriptedKeyManager
    let sidecar: OwnProcess
    let client: CheckClient

    beforeEach(async () => {
      keyManager = await startKeyManager()
      const capacity = {
        'caching.tokenCacheCapacity': String(inactiveCapacity),
        'caching.inactiveCapacity': String(inactiveCapacity),
      }
      // As the image starts it: with Node's own settings the heap alone moves by as much as is measured.
      sidecar = await startOwnProcess(basicConfig(keyManager.url), capacity, IMAGE.env, IMAGE.flags)
      client = connectChecks(sidecar.address)
    })

    afterEach(async () => {
      client.close()
      await sidecar.close()
      await keyManager.close()
    })

    const ask = async (token: string): Promise<Seen> =>
      seenIn(await client.check(httpCheck({ headers: { authorization: `Bearer ${token}` } })))

    async function hitShare(): Promise<number> {
      const seen = await Promise.all(good.map(ask))
      return seen.filter((one) => one.allowed && one.cache === 'hit').length / goodTokens
    }

    it('stays within its budget and leaves the good tokens where they are', async () => {
      keyManager.answer((request) => ({
        body: request.form.get('token')?.startsWith('bad') ? { active: false } : { active: true, exp: inSeconds(300) },
      }))
      for (let sent = 0; sent < overTheWire; sent += AT_ONCE) {
        await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => ask(`ordinary${sent + i}`)))
      }
      await Promise.all(good.map(ask))
      const before = await sidecar.rssBytes()
      for (let sent = 0; sent < overTheWire; sent += AT_ONCE) {
        const bad = await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => ask(`bad${sent + i}`)))
        expect(bad.filter((one) => one.reason !== 'inactive_token')).to.deep.equal([])
        if (sent % 5000 === 0) expect(await hitShare()).to.equal(goodHitShare)
      }
      expect((await sidecar.rssBytes()) - before).to.be.at.most(rssBytes)
      expect(await hitShare()).to.equal(goodHitShare)
      expect(await sidecar.metric('microgw_cache_entries{store="memory"}')).to.equal(2 * inactiveCapacity)
    }).timeout(120_000)
  })

  describe('in process', () => {
    it('stays within its budget and leaves the good tokens where they are', async () => {
      const clock = createFakeClock()
      const metrics = { cacheOperation() {}, waiterJoined() {} }
      const life = { activeLifeMs: 60_000, inactiveLifeMs: 10_000, timestampSkewMs: 0 }
      const active = activeAnswer(claims(), clock.wallMs(), clock.monotonicMs(), life)

      /** As a Check that misses does: look, then remember; now and then the loop turns. */
      async function flood(memory: AnswerMemory, tokens: number, name: string, answer: () => Answer): Promise<number> {
        const cache = createAnswerCache(memory, { clock, metrics })
        let found = 0
        for (let i = 0; i < tokens; i++) {
          const key = keyOf(`${name}${i}`)
          if (cache.peek(key) !== undefined) found += 1
          cache.remember(key, answer())
          if (i % AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve))
        }
        return found
      }

      const ordinary = createAnswerMemory({ capacity: inactiveCapacity, inactiveCapacity })
      await flood(ordinary, ORDINARY, 'ordinary', () => ({ ...active }))

      const memory = createAnswerMemory({ capacity: goodTokens, inactiveCapacity })
      const cache = createAnswerCache(memory, { clock, metrics })
      for (const token of good) cache.remember(keyOf(token), active)
      const before = process.memoryUsage.rss()
      const inactive = (): Answer => inactiveAnswer(clock.monotonicMs(), life)
      expect(await flood(memory, inAll - overTheWire, 'bad', inactive)).to.equal(0)
      expect(process.memoryUsage.rss() - before).to.be.at.most(rssBytes)
      expect(memory.inactive.size()).to.equal(inactiveCapacity)
      const hits = good.filter((token) => cache.peek(keyOf(token))?.active === true)
      expect(hits.length / goodTokens).to.equal(goodHitShare)
    }).timeout(120_000)
  })
})
