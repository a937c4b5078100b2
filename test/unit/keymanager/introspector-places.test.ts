/** P20: a place that comes free goes to the next in the queue, whatever became of who had it. */
import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import type { Interest } from '../../../src/authz/ports.ts'
import { createIntrospector, type KeyManagerClient } from '../../../src/keymanager/introspector.ts'
import type { Taken } from '../../../src/keymanager/own-token.ts'
import { createPlaces, type Places } from '../../../src/keymanager/places.ts'
import type { HttpResult } from '../../../src/net/http.ts'
import { createFakeClock } from '../../support/clock.ts'
import { ACTIVE, FAILED, keyManagerSettings, NONE, named, ownTokenOf, TOKEN } from './support.ts'

const THROTTLED: HttpResult = {
  ok: true,
  status: 429,
  oversized: false,
  headers: { 'retry-after': '5' },
  body: Buffer.from(''),
}

/** An own token that is on its way until `arrive`, and a key manager that answers what is next in line. */
function setUp(maxInFlight: number) {
  const clock = createFakeClock()
  const sent: string[] = []
  const answers: ((result: HttpResult) => void)[] = []
  let flight = Promise.withResolvers<Taken>()
  let taken: Taken | Promise<Taken> = flight.promise
  let inFlight = 0
  let most = 0
  const ownToken = ownTokenOf(() => taken)
  const settings = keyManagerSettings('http://127.0.0.1:1/introspect', {
    maxInFlight,
    breaker: { failures: 1, openForMs: 1_000 },
  })
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const client: KeyManagerClient = createIntrospector(settings, {
    clock,
    log,
    metrics: {
      introspection: () => undefined,
      introspectionsInFlight: (delta) => {
        inFlight += delta
        most = Math.max(most, inFlight)
      },
      breaker: () => undefined,
    },
    http: {
      post: (_headers, body) => {
        sent.push(body.slice('token='.length))
        return new Promise((resolve) => answers.push(resolve))
      },
      close: async () => undefined,
    },
    ownToken,
  })
  const interests = new Map<string, { wanted: boolean; whenLost: (() => void) | undefined }>()
  return {
    client,
    clock,
    sent,
    most: () => most,
    ask(token: string) {
      const interest: Interest & { wanted: boolean } = { wanted: true, whenLost: undefined }
      interests.set(token, interest)
      return client.introspect(token, interest).then(named)
    },
    /** As `authz/answers.ts` does where the last waiter of a call that has a place leaves. */
    giveUp(token: string) {
      const interest = interests.get(token)
      if (interest !== undefined) interest.wanted = false
      interest?.whenLost?.()
    },
    arrive(what: Taken) {
      taken = what
      flight.resolve(what)
    },
    fetchAgain() {
      flight = Promise.withResolvers<Taken>()
      taken = flight.promise
    },
    async answer(result: HttpResult) {
      await turn()
      answers.shift()?.(result)
      await turn()
    },
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('a place at the key manager', () => {
  const clients: KeyManagerClient[] = []
  const opened = (maxInFlight: number) => {
    const all = setUp(maxInFlight)
    clients.push(all.client)
    return all
  }
  afterEach(() => Promise.all(clients.splice(0).map((client) => client.close())))

  it('P20 goes to the next where its holder gave up before the own token came', async () => {
    const { ask, giveUp, arrive, answer, sent, client } = opened(1)
    const first = ask('first')
    const second = ask('second')
    const third = ask('third')
    giveUp('first')
    arrive(TOKEN)
    await answer(ACTIVE)
    await answer(ACTIVE)
    expect(await Promise.all([first, second, third])).to.deep.equal(['abandoned', 'active', 'active'])
    expect(sent).to.deep.equal(['second', 'third'])
    expect(client.status()).to.include({ inFlight: 0, waiting: 0 })
  })

  it('goes to the next where no own token came, so that nobody waits for nothing', async () => {
    const { ask, arrive, sent, client } = opened(1)
    const asked = ['first', 'second', 'third'].map(ask)
    arrive(NONE)
    expect(await Promise.all(asked)).to.deep.equal(Array(3).fill('unavailable/rejected'))
    expect(sent).to.deep.equal([])
    expect(client.status()).to.include({ inFlight: 0, waiting: 0 })
  })

  for (const [what, result, ms] of [
    ['the breaker opened', FAILED, 1_000],
    ['a 429 was said', THROTTLED, 5_000],
  ] as const)
    it(`goes to the next where ${what} while its holder waited for the own token`, async () => {
      const { ask, answer, clock, sent, client, arrive, fetchAgain } = opened(2)
      arrive(TOKEN)
      const sender = ask('sender')
      fetchAgain()
      const waiter = ask('waiter')
      const queued = ask('queued')
      expect(client.status()).to.include({ inFlight: 1, waiting: 1 })
      await answer(result)
      // The sender's place went to the queue's first, which waits for the own token as well.
      const late = ask('late')
      arrive(TOKEN)
      const outcomes = await Promise.all([sender, waiter, queued, late])
      expect(outcomes.slice(1)).to.deep.equal(Array(3).fill('unavailable/rejected'))
      expect(sent).to.deep.equal(['sender'])
      expect(client.status()).to.include({ inFlight: 0, waiting: 0 })
      clock.advance(ms)
      const again = ask('again')
      await answer(ACTIVE)
      expect(await again).to.equal('active')
    })

  it('goes through a queue of any length whose calls end as they start, in its order', () => {
    const length = 50_000
    const started: string[] = []
    const places: Places = createPlaces(1, ({ token }) => {
      started.push(token)
      places.startWaiting()
    })
    const tokens = Array.from({ length }, (_, index) => `t${index}`)
    for (const token of tokens) {
      places.wait({ token, interest: { wanted: true, whenLost: undefined }, resolve() {} })
    }
    places.startWaiting()
    expect(places.waiting).to.equal(0)
    expect(started).to.deep.equal(tokens)
  })

  it('goes on after one whose start throws', () => {
    const started: string[] = []
    const places: Places = createPlaces(1, ({ token }) => {
      started.push(token)
      if (token === 'first') throw new Error('broken')
    })
    for (const token of ['first', 'second']) {
      places.wait({ token, interest: { wanted: true, whenLost: undefined }, resolve() {} })
    }
    expect(() => places.startWaiting()).to.throw('broken')
    places.startWaiting()
    expect(started).to.deep.equal(['first', 'second'])
  })

  it('F21 is taken by one call at a time when the own token comes', async () => {
    const { ask, arrive, answer, most } = opened(2)
    const asked = Array.from({ length: 6 }, (_, index) => ask(`t${index}`))
    arrive(TOKEN)
    // Those that come in the very turn in which the token does.
    const late = Promise.resolve().then(() => Promise.all([ask('late-1'), ask('late-2')]))
    for (let index = 0; index < 8; index += 1) await answer(ACTIVE)
    expect(await Promise.all(asked)).to.deep.equal(Array(6).fill('active'))
    expect(await late).to.deep.equal(['active', 'active'])
    expect(most()).to.equal(2)
  })
})
