/** Product section 5: calls in flight keep the old graph, so whoever waits behind them does too. */
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import type { Clock } from '../../../src/authz/ports.ts'
import { systemClock } from '../../../src/clock.ts'
import type { KeyManagerConfig } from '../../../src/config/config.ts'
import { Secret } from '../../../src/config/secret.ts'
import { createIntrospector, type KeyManagerClient } from '../../../src/keymanager/introspector.ts'
import type { OwnToken, Taken } from '../../../src/keymanager/own-token.ts'
import { createFakeClock } from '../../support/clock.ts'
import { type ScriptedAnswer, type ScriptedKeyManager, startKeyManager } from '../../support/key-manager.ts'
import { keyManagerSettings, named, ownTokenOf, TOKEN } from './support.ts'

const ACTIVE_ANSWER: ScriptedAnswer = { body: { active: true } }
const log = { debug() {}, info() {}, warn() {}, error() {} }
const metrics = { introspection() {}, introspectionsInFlight() {}, breaker() {} }

describe('an introspector that is closed', () => {
  let keyManager: ScriptedKeyManager
  /** One for each request, in their order. */
  let answers: ((answer: ScriptedAnswer) => void)[]
  let client: KeyManagerClient
  beforeEach(async () => {
    keyManager = await startKeyManager()
    answers = []
    keyManager.answer(() => new Promise((resolve) => answers.push(resolve)))
  })
  afterEach(async () => {
    await keyManager.close()
    await client.close()
  })

  const open = (changes: Partial<KeyManagerConfig>, ownToken?: OwnToken, clock: Clock = systemClock): void => {
    client = createIntrospector(keyManagerSettings(keyManager.url, changes), { clock, log, metrics, ownToken })
  }
  const ask = (token: string): Promise<string> =>
    client.introspect(token, { wanted: true, whenLost: undefined }).then(named)
  async function arrived(count: number): Promise<void> {
    for (let turn = 0; turn < 100_000 && answers.length < count; turn += 1) await new Promise(setImmediate)
    expect(answers.length).to.be.at.least(count)
  }

  it('answers what is sent and what is queued behind it', async () => {
    open({ maxInFlight: 1, breaker: { failures: 1, openForMs: 60_000 } })
    const asked = ['sent', 'queued', 'queued too'].map(ask)
    await arrived(1)
    const closed = client.close()
    for (let index = 0; index < asked.length; index += 1) {
      await arrived(index + 1)
      answers[index]?.(ACTIVE_ANSWER)
    }
    expect(await Promise.all(asked)).to.deep.equal(['active', 'active', 'active'])
    await closed
    expect(client.status()).to.include({ breaker: 'closed', inFlight: 0, waiting: 0 })
    // The queue went over the connection it had.
    expect(keyManager.connections).to.equal(1)
    while (keyManager.openConnections > 0) await new Promise(setImmediate)
  })

  it('answers what waits for the own token', async () => {
    const flight = Promise.withResolvers<Taken>()
    open(
      { maxInFlight: 1 },
      ownTokenOf(() => flight.promise),
    )
    const asked = ['first', 'queued'].map(ask)
    const closed = client.close()
    flight.resolve(TOKEN)
    for (const index of [0, 1]) {
      await arrived(index + 1)
      answers[index]?.(ACTIVE_ANSWER)
    }
    expect(await Promise.all(asked)).to.deep.equal(['active', 'active'])
    await closed
  })

  it('P22 repeats a call with the renewed own token', async () => {
    const renewed = Promise.withResolvers<Taken>()
    open({}, { ...ownTokenOf(() => TOKEN), refused: () => renewed.promise })
    const asked = ask('token')
    await arrived(1)
    const closed = client.close()
    answers[0]?.({ status: 401 })
    renewed.resolve({ kind: 'token', token: { value: 'new', expiresAtMs: Number.POSITIVE_INFINITY } })
    await arrived(2)
    answers[1]?.(ACTIVE_ANSWER)
    expect(await asked).to.equal('active')
    expect(keyManager.requests[1]?.headers['authorization']).to.equal('Bearer new')
    await closed
  })

  it('answers one that comes late, from a Check that asked the shared store first', async () => {
    open({})
    await client.close()
    const asked = ask('late')
    await arrived(1)
    answers[0]?.(ACTIVE_ANSWER)
    expect(await asked).to.equal('active')
    while (keyManager.openConnections > 0) await new Promise(setImmediate)
  })

  for (const [what, ownToken, untilMs] of [
    ['the key manager hangs', undefined, 2_000],
    ['no own token comes', ownTokenOf(() => new Promise<never>(() => undefined)), 7_000],
  ] as const)
    it(`is closed in bounded time where ${what}, however many are queued`, async () => {
      const clock = createFakeClock()
      open({ maxInFlight: 1, timeoutMs: 2_000 }, ownToken, clock)
      for (let index = 0; index < 50; index += 1) void ask(`t${index}`)
      if (ownToken === undefined) await arrived(1)
      let isClosed = false
      const closed = client.close().then(() => {
        isClosed = true
      })
      clock.advance(untilMs - 1)
      for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate)
      expect(isClosed).to.equal(false)
      clock.advance(1)
      // What is under way then ends within its own limit.
      for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate)
      clock.advance(2_000)
      await closed
    })

  it('C43 answers the call that signs while discovery moves the endpoint', async () => {
    const security = {
      kind: 'client_secret_jwt',
      clientId: 'gateway',
      key: new Secret('s'.repeat(64)),
      alg: 'HS256',
      keyId: undefined,
      audience: undefined,
    } as const
    let endpoint = `${keyManager.url}/one`
    client = createIntrospector(
      { ...keyManagerSettings('', { security }), introspectUrl: undefined },
      { clock: systemClock, log, metrics, endpoints: () => ({ introspection: endpoint, token: '' }) },
    )
    const first = ask('first')
    endpoint = `${keyManager.url}/two`
    const second = ask('second')
    await arrived(2)
    for (const answer of answers) answer(ACTIVE_ANSWER)
    expect(await Promise.all([first, second])).to.deep.equal(['active', 'active'])
    expect(keyManager.requests.map(({ path }) => path.split('/').at(-1))).to.have.members(['one', 'two'])
  })
})
