import { expect } from 'chai'
import { describe, it } from 'mocha'
import { createAnswers } from '../../../src/authz/answers.ts'
import { createAnswerCache, createAnswerMemory } from '../../../src/cache/answer-cache.ts'
import { claims, createDomain, keyOf, view } from '../../support/authz.ts'
import { createFakeClock } from '../../support/clock.ts'

describe('a look-up of the answers', () => {
  it('E15 asks nobody for a Check that was cancelled before it could', async () => {
    const domain = createDomain()
    const cancellation = { cancelled: true, whenCancelled: undefined }
    expect(await domain.authorize(view(), { cancellation })).to.include({
      allow: false,
      reason: 'key_manager_unavailable',
    })
    expect(domain.asked).to.have.length(0)
  })

  it('counts as a hit what it hands out and as a miss what is too old for the route', async () => {
    const clock = createFakeClock()
    const seen: string[] = []
    const metrics = {
      cacheOperation: (...operation: string[]) => void seen.push(operation.join(' ')),
      waiterJoined() {},
    }
    const cache = createAnswerCache(createAnswerMemory({ capacity: 2, inactiveCapacity: 2 }), { clock, metrics })
    const introspector = { introspect: async () => ({ kind: 'active', claims: claims({}) }) as const }
    const life = { activeLifeMs: 60_000, inactiveLifeMs: 1_000, timestampSkewMs: 0 }
    const answers = createAnswers({ cache, introspector, clock, metrics }, life)
    const key = keyOf('k')
    expect(answers.peek(key, undefined)).to.equal(undefined)
    const cancellation = { cancelled: false, whenCancelled: undefined }
    await answers.ask(key, 'token', clock.monotonicMs() + 1_000, undefined, cancellation)
    clock.advance(5_000)
    const found = [undefined, 5_000, 4_999, 0].map((maxAgeMs) => answers.peek(key, maxAgeMs) !== undefined)
    expect(found).to.deep.equal([true, true, false, false])
    expect(seen).to.deep.equal([
      'memory get miss',
      'memory set ok',
      'memory get hit',
      'memory get hit',
      'memory get miss',
      'memory get miss',
    ])
  })
})
