import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { createAnswers } from '../../src/authz/answers.ts'
import { createAuthorizer } from '../../src/authz/authorizer.ts'
import { createAnswerCache, createAnswerMemory } from '../../src/cache/answer-cache.ts'
import { systemClock } from '../../src/clock.ts'
import { keyOf, OPEN_POLICY, view } from '../support/authz.ts'
import { createFakeClock } from '../support/clock.ts'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'
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
        { answers: createAnswers({ cache, introspector, clock, metrics }, life), clock, keyOf },
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

describe('F33 an exception at every reading of the clock in turn, through the app', () => {
  let pair: Pair
  afterEach(() => pair.close())

  /** Throws at the reading that many from now; never where it is Infinity. */
  let throwsAfter = Number.POSITIVE_INFINITY
  let readings = 0
  const read = <T>(value: () => T): T => {
    readings += 1
    if (readings === throwsAfter) throw new Error('boom')
    return value()
  }
  const clock = {
    wallMs: () => read(systemClock.wallMs),
    monotonicMs: () => read(systemClock.monotonicMs),
    after: (ms: number, run: () => void) => read(() => systemClock.after(ms, run)),
  }
  const ask = async (token: string, reading: number) => {
    readings = 0
    throwsAfter = reading
    const seen = await pair.ask(`Bearer ${token}`)
    throwsAfter = Number.POSITIVE_INFINITY
    const taken = readings
    // A Check denied early leaves its introspection under way: its readings are not the next one's.
    while ((await pair.metric('microgw_introspections_in_flight')) > 0) await new Promise(setImmediate)
    return { seen, readings: taken }
  }

  for (const [name, tokenOf] of [
    ['a miss', (n: number) => `new${n}`],
    ['a hit', () => 'kept'],
  ] as const) {
    it(`is a deny: ${name}`, async () => {
      pair = await startPair({ clock, flags: { 'keyManager.breaker.failures': '1000' } })
      pair.keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
      await ask('kept', Number.POSITIVE_INFINITY)
      const whole = await ask(tokenOf(0), Number.POSITIVE_INFINITY)
      expect(whole.seen.allowed).to.equal(true)
      expect(whole.readings).to.be.greaterThan(3)
      // From the arrival of the call to its sending.
      for (let n = 1; n <= whole.readings; n++) {
        const { seen } = await ask(tokenOf(n), n)
        expect(
          [seen].filter(({ allowed }) => allowed),
          `reading ${n}`,
        ).to.have.length(FIGURES.F33.allows)
        // '' is the deny of the last resort: constant bytes, sent where not even the arrival could be noted.
        expect(seen.reason, `reading ${n}`).to.be.oneOf(['internal_error', 'key_manager_unavailable', ''])
      }
      // Every place was given back.
      expect(await pair.metric('microgw_introspections_in_flight')).to.equal(0)
      expect((await ask(tokenOf(1), Number.POSITIVE_INFINITY)).seen.allowed).to.equal(true)
    })
  }
})
