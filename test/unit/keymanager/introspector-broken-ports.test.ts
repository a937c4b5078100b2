/** F33: whatever a port does that it promised not to, every call gets an outcome and its place goes to the next. */
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { createIntrospector, type KeyManagerClient } from '../../../src/keymanager/introspector.ts'
import type { Taken } from '../../../src/keymanager/own-token.ts'
import type { HttpResult } from '../../../src/net/http.ts'
import { createFakeClock } from '../../support/clock.ts'
import { ACTIVE, FAILED, keyManagerSettings, NONE, named, ownTokenOf, TOKEN } from './support.ts'

describe('an introspector whose ports break their promise', () => {
  const fake = createFakeClock()
  /** Throws as long as it is set. */
  let broken: 'nothing' | 'clock' | 'in flight' | 'introspection' | 'breaker' | 'log'
  let taken: Taken | Promise<Taken>
  let answers: ((result: HttpResult) => void)[]
  let client: KeyManagerClient
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => void unhandled.push(reason)
  const unless = (what: typeof broken) => (): void => {
    if (broken === what) throw new Error(`broken: ${what}`)
  }

  beforeEach(() => {
    broken = 'nothing'
    taken = TOKEN
    answers = []
    unhandled.length = 0
    process.on('unhandledRejection', note)
    const ownToken = ownTokenOf(() => taken)
    const monotonicMs = (): number => {
      if (broken === 'clock') throw new Error('broken: clock')
      return fake.monotonicMs()
    }
    client = createIntrospector(
      keyManagerSettings('http://127.0.0.1:1/introspect', {
        maxInFlight: 1,
        maxWaiting: 5,
        breaker: { failures: 1, openForMs: 1_000 },
      }),
      {
        clock: { ...fake, monotonicMs },
        log: { debug() {}, info() {}, warn: unless('log'), error() {} },
        metrics: {
          introspection: unless('introspection'),
          introspectionsInFlight: unless('in flight'),
          breaker: unless('breaker'),
        },
        http: { post: () => new Promise((resolve) => answers.push(resolve)), close: async () => undefined },
        ownToken,
      },
    )
  })
  afterEach(async () => {
    process.off('unhandledRejection', note)
    await client.close()
  })

  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const ask = (token: string) => client.introspect(token, { wanted: true, whenLost: undefined }).then(named)
  /** Each outcome, or that there is none yet. */
  async function outcomes(asked: readonly Promise<string>[]): Promise<readonly string[]> {
    await turn()
    return await Promise.all(asked.map((one) => Promise.race([one, Promise.resolve('waits')])))
  }
  /** Nothing is left over: the next call has its place, and gets its answer. */
  async function expectWhole(): Promise<void> {
    broken = 'nothing'
    await turn()
    fake.advance(2_000)
    const next = ask('next')
    await turn()
    answers.at(-1)?.(ACTIVE)
    expect(await outcomes([next])).to.deep.equal(['active'])
    expect(client.status()).to.include({ inFlight: 0, waiting: 0 })
    expect(unhandled).to.deep.equal([])
  }

  it('an own token that is refused by a rejection is none, for the call and for those behind it', async () => {
    const coming = Promise.withResolvers<Taken>()
    taken = coming.promise
    const asked = ['first', 'second', 'third'].map(ask)
    coming.reject(new Error('broken'))
    expect(await outcomes(asked)).to.deep.equal(Array(3).fill('unavailable/network'))
    taken = TOKEN
    await expectWhole()
  })

  for (const what of ['clock', 'in flight', 'introspection'] as const)
    it(`${what}: broken while the own token arrives`, async () => {
      const coming = Promise.withResolvers<Taken>()
      taken = coming.promise
      const asked = ['first', 'second', 'third'].map(ask)
      broken = what
      coming.resolve(NONE)
      for (const outcome of await outcomes(asked)) expect(outcome).to.match(/^unavailable/)
      taken = TOKEN
      await expectWhole()
    })

  for (const what of ['clock', 'in flight', 'introspection'] as const)
    it(`${what}: broken when it is the queue's turn`, async () => {
      const asked = ['first', 'second', 'third'].map(ask)
      broken = what
      answers[0]?.(ACTIVE)
      await turn()
      for (const answer of answers) answer(ACTIVE)
      await turn()
      for (const answer of answers) answer(ACTIVE)
      for (const outcome of await outcomes(asked)) expect(outcome).to.match(/^(?:unavailable|active)/)
      await expectWhole()
    })

  for (const what of ['clock', 'in flight', 'introspection', 'breaker', 'log'] as const)
    it(`${what}: broken from the start of a call that fails to its end`, async () => {
      broken = what
      const asked = [ask('first'), ask('second')]
      await turn()
      for (const answer of answers) answer(FAILED)
      await turn()
      for (const answer of answers) answer(FAILED)
      for (const outcome of await outcomes(asked)) expect(outcome).to.match(/^unavailable/)
      await expectWhole()
    })

  it('with no room and a queue that is full', async () => {
    const asked = Array.from({ length: 6 }, (_, index) => ask(`t${index}`))
    for (const what of ['clock', 'introspection'] as const) {
      broken = what
      expect(await ask('one too many')).to.equal('unavailable/network')
    }
    broken = 'nothing'
    for (let index = 0; index < 6; index += 1) {
      answers[index]?.(ACTIVE)
      await turn()
    }
    expect(await outcomes(asked)).to.deep.equal(Array(6).fill('active'))
    await expectWhole()
  })
})
