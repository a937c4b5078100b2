import { expect } from 'chai'
import { describe, it } from 'mocha'
import { activeAnswer, inactiveAnswer } from '../../../src/authz/introspection.ts'
import { createAnswerCache, createAnswerMemory } from '../../../src/cache/answer-cache.ts'
import { createAnswerKey } from '../../../src/cache/answer-key.ts'
import { contentOf } from '../../support/answers.ts'
import { claims, keyOf } from '../../support/authz.ts'
import { createFakeClock } from '../../support/clock.ts'

function createCache({ capacity = 2, inactiveCapacity = 2, activeLifeMs = 60_000, inactiveLifeMs = 10_000 } = {}) {
  const clock = createFakeClock()
  const seen: string[] = []
  const memory = createAnswerMemory({ capacity, inactiveCapacity })
  const cache = createAnswerCache(memory, {
    clock,
    metrics: {
      cacheOperation: (store, operation, result) => void seen.push(`${store} ${operation} ${result}`),
      waiterJoined() {},
    },
  })
  const life = { activeLifeMs, inactiveLifeMs, timestampSkewMs: 0 }
  const nowSec = clock.wallMs() / 1000
  return {
    cache,
    clock,
    memory,
    seen,
    active: (expInSec?: number) =>
      activeAnswer(
        claims(expInSec === undefined ? {} : { expSec: nowSec + expInSec }),
        clock.wallMs(),
        clock.monotonicMs(),
        life,
      ),
    inactive: () => inactiveAnswer(clock.monotonicMs(), life),
  }
}

// Keyv writes in a microtask or two; a macrotask is past them all.
const written = () => new Promise((resolve) => setImmediate(resolve))

describe('the answer cache', () => {
  it('gives back the answer as it was, and counts', async () => {
    const { cache, active, seen } = createCache()
    const answer = active()
    cache.remember(keyOf('k'), answer)
    await written()
    expect(contentOf(cache.peek(keyOf('k')))).to.deep.equal(contentOf(answer))
    expect(Object.isFrozen(answer)).to.equal(true)
    expect(cache.peek(keyOf('other'))).to.equal(undefined)
    expect(seen).to.deep.equal(['memory set ok'])
  })

  it('counts what it deletes: an entry past its life when it is met, one that a contrary answer replaces', async () => {
    const { cache, clock, active, inactive, seen } = createCache()
    cache.remember(keyOf('k'), active())
    await written()
    cache.remember(keyOf('k'), active())
    await written()
    expect(seen.splice(0)).to.deep.equal(['memory set ok', 'memory set ok'])
    cache.remember(keyOf('k'), inactive())
    await written()
    expect(seen.splice(0)).to.deep.equal(['memory delete ok', 'memory set ok'])
    cache.remember(keyOf('k'), active(0))
    await written()
    expect(seen.splice(0)).to.deep.equal(['memory delete ok'])
    cache.remember(keyOf('k'), active())
    await written()
    clock.advance(60_000)
    expect([cache.peek(keyOf('k')), cache.peek(keyOf('k'))]).to.deep.equal([undefined, undefined])
    expect(seen).to.deep.equal(['memory set ok', 'memory delete ok'])
  })

  it('C31 ends a life at exp by the wall clock, though the monotonic clock has time left', async () => {
    const { cache, clock, active } = createCache()
    cache.remember(keyOf('k'), active(30))
    await written()
    clock.setWall(clock.wallMs() + 29_999)
    expect(cache.peek(keyOf('k'))).to.not.equal(undefined)
    clock.setWall(clock.wallMs() + 1)
    expect(cache.peek(keyOf('k'))).to.equal(undefined)
  })

  it('C31 ends a life by the monotonic clock, though the wall clock was set back', async () => {
    const { cache, clock, active } = createCache()
    cache.remember(keyOf('k'), active(3600))
    await written()
    clock.advance(59_999)
    clock.setWall(clock.wallMs() - 3_600_000)
    expect(cache.peek(keyOf('k'))).to.not.equal(undefined)
    clock.advance(1)
    expect(cache.peek(keyOf('k'))).to.equal(undefined)
  })

  it('evicts the least recently used, each kind in its own budget', async () => {
    const { cache, active, inactive, memory } = createCache()
    cache.remember(keyOf('a'), active())
    cache.remember(keyOf('b'), active())
    await written()
    cache.peek(keyOf('a'))
    for (const key of ['x', 'y', 'z']) cache.remember(keyOf(key), inactive())
    cache.remember(keyOf('c'), active())
    await written()
    expect(['a', 'b', 'c'].map((key) => cache.peek(keyOf(key)) !== undefined)).to.deep.equal([true, false, true])
    expect([memory.active.size(), memory.inactive.size()]).to.deep.equal([2, 2])
  })

  it('holds one answer a token: the newer one replaces the older, of whichever kind', async () => {
    const { cache, active, inactive, memory } = createCache()
    cache.remember(keyOf('k'), active())
    await written()
    cache.remember(keyOf('k'), inactive())
    await written()
    expect(cache.peek(keyOf('k'))?.active).to.equal(false)
    expect(memory.active.size()).to.equal(0)
  })

  it('deletes one and clears all, of either kind', () => {
    const { memory, active, inactive } = createCache()
    memory.active.set(keyOf('a'), active())
    memory.inactive.set(keyOf('i'), inactive())
    expect([memory.active.delete(keyOf('a')), memory.active.delete(keyOf('a'))]).to.deep.equal([true, false])
    expect([memory.inactive.delete(keyOf('i')), memory.inactive.delete(keyOf('i'))]).to.deep.equal([true, false])
    memory.active.set(keyOf('a'), active())
    memory.inactive.set(keyOf('i'), inactive())
    memory.active.clear()
    memory.inactive.clear()
    expect([memory.active.size(), memory.inactive.size()]).to.deep.equal([0, 0])
    expect([memory.active.get(keyOf('a')), memory.inactive.get(keyOf('i'))]).to.deep.equal([undefined, undefined])
  })

  it('regression: an answer not to be remembered still puts the older one out', async () => {
    const { cache, active, inactive } = createCache({ inactiveLifeMs: 0 })
    cache.remember(keyOf('k'), active())
    await written()
    cache.remember(keyOf('k'), inactive())
    await written()
    expect(cache.peek(keyOf('k'))).to.equal(undefined)
  })

  it('C20 C36 the key is a digest that differs by key manager, endpoint and client identity', () => {
    const parts = { keyManager: '', introspectUrl: 'https://a/introspect', clientIdentity: 'c' }
    const key = createAnswerKey(parts)('secret-token')
    expect(key).to.match(/^[0-9a-f]{64}$/)
    const others = [
      { ...parts, keyManager: 'x' },
      { ...parts, introspectUrl: 'https://a/introspectc', clientIdentity: '' },
      { ...parts, clientIdentity: 'd' },
    ].map((other) => createAnswerKey(other)('secret-token'))
    expect(new Set([key, ...others]).size).to.equal(4)
  })
})
