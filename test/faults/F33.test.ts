import { expect } from 'chai'
import { describe, it } from 'mocha'
import { createAnswers } from '../../src/authz/answers.ts'
import { createAuthorizer } from '../../src/authz/authorizer.ts'
import { createAnswerCache, createAnswerMemory } from '../../src/cache/answer-cache.ts'
import { OPEN_POLICY, view } from '../support/authz.ts'
import { createFakeClock } from '../support/clock.ts'
import { FIGURES } from './figures.ts'

describe('F33 an exception at every await in turn', () => {
  const boom = (): never => {
    throw new Error('boom')
  }
  const faults = {
    'the shared store rejects': { load: () => Promise.reject(new Error('boom')) },
    'the shared store throws': { load: boom },
    'the introspector rejects': { introspect: () => Promise.reject(new Error('boom')) },
    'the introspector throws': { introspect: boom },
    'remember throws': { remember: boom },
  }
  for (const [name, fault] of Object.entries(faults)) {
    it(`is a deny: ${name}`, async () => {
      const clock = createFakeClock()
      const metrics = { cacheOperation() {}, waiterJoined() {} }
      const memory = createAnswerMemory({ capacity: 10, inactiveCapacity: 10 })
      const cache = { ...createAnswerCache(memory, { clock, metrics }), load: async () => undefined, ...fault }
      const introspector = { introspect: async () => ({ kind: 'inactive' }) as const, ...fault }
      const life = { activeLifeMs: 1000, inactiveLifeMs: 1000, timestampSkewMs: 0 }
      const authorizer = createAuthorizer(
        { answers: createAnswers({ cache, introspector, clock, metrics }, life), clock, keyOf: (token) => token },
        { policy: OPEN_POLICY, allowCorsPreflight: false, timestampSkewMs: 0 },
      )
      const cancellation = { cancelled: false, whenCancelled: undefined }
      const decision = await authorizer.authorize(view(), clock.monotonicMs() + 1000, cancellation)
      expect([decision].filter(({ allow }) => allow)).to.have.length(FIGURES.F33.allows)
      expect(decision.reason).to.equal('key_manager_unavailable')
      // Without its guard the decision never comes: seen within a second.
    }).timeout(1000)
  }
})
