import { expect } from 'chai'
import { describe, it } from 'mocha'
import { createAnswers } from '../../src/authz/answers.ts'
import { createAnswerCache, createAnswerMemory } from '../../src/cache/answer-cache.ts'
import { claims } from '../support/authz.ts'
import { createFakeClock } from '../support/clock.ts'

describe('F39 a store that throws or returns nothing', () => {
  it('is a miss; writing to it never rejects unhandled', async () => {
    const unhandled: unknown[] = []
    const note = (reason: unknown): void => void unhandled.push(reason)
    process.on('unhandledRejection', note)
    const clock = createFakeClock()
    const errors: string[] = []
    const metrics = {
      cacheOperation: (_: string, operation: string, result: string) => void errors.push(`${operation} ${result}`),
      waiterJoined() {},
    }
    const memory = createAnswerMemory({ capacity: 10, inactiveCapacity: 10 })
    const broken = {
      ...memory.active,
      set() {
        throw new Error('boom')
      },
    }
    const cache = createAnswerCache({ ...memory, active: broken }, { clock, metrics })
    const introspector = { introspect: async () => ({ kind: 'active', claims: claims() }) as const }
    const life = { activeLifeMs: 1000, inactiveLifeMs: 1000, timestampSkewMs: 0 }
    const answers = createAnswers({ cache, introspector, clock, metrics }, life)
    const found = await answers.ask('key', 'token', clock.monotonicMs() + 1000, undefined, {
      cancelled: false,
      whenCancelled: undefined,
    })
    await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', note)
    expect(found.ok).to.equal(true)
    expect(answers.peek('key', undefined)).to.equal(undefined)
    expect(errors).to.include('set error')
    expect(unhandled).to.deep.equal([])
  })
})
