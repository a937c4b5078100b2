import { expect } from 'chai'
import Keyv from 'keyv'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { createAnswers } from '../../src/authz/answers.ts'
import { type AnswerMemory, createAnswerCache, createAnswerMemory } from '../../src/cache/answer-cache.ts'
import { claims, keyOf } from '../support/authz.ts'
import { createFakeClock } from '../support/clock.ts'
import { FIGURES } from './figures.ts'

type Store = AnswerMemory['active']

describe('F39 a store that throws, rejects, or returns undefined', () => {
  const keyvSet = Keyv.prototype.set
  let unhandled: unknown[]
  const note = (reason: unknown): void => void unhandled.push(reason)

  beforeEach(() => {
    unhandled = []
    process.on('unhandledRejection', note)
  })

  afterEach(() => {
    process.off('unhandledRejection', note)
    Keyv.prototype.set = keyvSet
  })

  const boom = (): never => {
    throw new Error('boom')
  }
  // An error of a store is emitted by Keyv, and one that nobody listens to is thrown.
  const faults: Readonly<Record<string, { readonly store: Partial<Store>; readonly recorded: string }>> = {
    'set throws': { store: { set: boom }, recorded: 'set error' },
    'set does nothing': { store: { set() {} }, recorded: 'set ok' },
    'get returns undefined': { store: { get: () => undefined }, recorded: 'set ok' },
  }

  /** The store of this kind is broken: two Checks of one token are two misses, and the answer is the key manager's. */
  async function expectMisses(kind: 'active' | 'inactive', store: Partial<Store>, recorded: string): Promise<void> {
    const clock = createFakeClock()
    const operations: string[] = []
    const metrics = {
      cacheOperation: (_: string, operation: string, result: string) => void operations.push(`${operation} ${result}`),
      waiterJoined() {},
    }
    const memory = createAnswerMemory({ capacity: 10, inactiveCapacity: 10 })
    const cache = createAnswerCache({ ...memory, [kind]: { ...memory[kind], ...store } }, { clock, metrics })
    let asked = 0
    const introspector = {
      async introspect() {
        asked += 1
        return kind === 'active' ? ({ kind, claims: claims() } as const) : ({ kind } as const)
      },
    }
    const life = { activeLifeMs: 1000, inactiveLifeMs: 1000, timestampSkewMs: 0 }
    const answers = createAnswers({ cache, introspector, clock, metrics }, life)
    for (const times of [1, 2]) {
      expect(answers.peek(keyOf('token'), undefined)).to.equal(undefined)
      const cancellation = { cancelled: false, whenCancelled: undefined }
      const found = await answers.ask(keyOf('token'), 'token', clock.monotonicMs() + 1000, undefined, cancellation)
      await new Promise((resolve) => setImmediate(resolve))
      expect(found).to.deep.include({ ok: true, cache: 'miss' })
      expect(found.ok && found.answer.active).to.equal(kind === 'active')
      expect(asked).to.equal(times)
    }
    expect(operations.filter((operation) => operation.startsWith('set'))).to.deep.equal([recorded, recorded])
    expect(unhandled).to.have.length(FIGURES.F39.unhandledRejections)
  }

  for (const kind of ['active', 'inactive'] as const) {
    for (const [name, { store, recorded }] of Object.entries(faults)) {
      it(`is a miss: ${kind} answers, ${name}`, () => expectMisses(kind, store, recorded))
    }
    it(`is a miss: ${kind} answers, Keyv itself rejects`, () => {
      Keyv.prototype.set = () => Promise.reject(new Error('boom'))
      return expectMisses(kind, {}, 'set error')
    })
  }
})
