/** What is known of the key manager, from one configuration to the next. */
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { Secret } from '../../../src/config/secret.ts'
import { createKeyManager, type KeyManager } from '../../../src/keymanager/key-manager.ts'
import { createFakeClock, type FakeClock } from '../../support/clock.ts'
import { type ScriptedAnswer, type ScriptedKeyManager, startKeyManager } from '../../support/key-manager.ts'
import { basic, keyManagerSettings, named } from './support.ts'

const UNAVAILABLE: ScriptedAnswer = { status: 500 }
const THROTTLED: ScriptedAnswer = { status: 429, headers: { 'retry-after': '10' } }
const ACTIVE: ScriptedAnswer = { body: { active: true } }

describe('the gate in front of the key manager', () => {
  let server: ScriptedKeyManager
  let clock: FakeClock
  let states: string[]
  let logged: string[]
  let inFlight: number
  let inForce: KeyManager
  const replaced: Promise<void>[] = []

  const create = (changes: object, before?: KeyManager): KeyManager => {
    const said = (event: string): void => void logged.push(event)
    return createKeyManager(
      keyManagerSettings(server.url, { breaker: { failures: 1, openForMs: 5_000 }, ...changes }),
      {
        clock,
        log: { debug: said, info: said, warn: said, error: said },
        metrics: {
          introspection() {},
          introspectionsInFlight(delta) {
            inFlight += delta
          },
          breaker: (state) => void states.push(state),
          ownTokenRenewal() {},
          ownTokenExpiresAt() {},
        },
      },
      before,
    )
  }
  const reload = (changes = {}): void => {
    const before = inForce
    inForce = create(changes, before)
    inForce.takeOver(before)
    replaced.push(before.close(inForce))
  }
  const ask = async (token = 'one'): Promise<string> =>
    named(await inForce.introspect(token, { wanted: true, whenLost: undefined }))

  beforeEach(async () => {
    server = await startKeyManager()
    clock = createFakeClock()
    states = []
    logged = []
    inFlight = 0
    inForce = create({})
    inForce.takeOver()
  })
  afterEach(async () => {
    await Promise.all([inForce.close(), ...replaced.splice(0)])
    await server.close()
  })

  it('F05 stays open over a reload that asks the same key manager, and begins anew where it asks another way', async () => {
    server.answer(UNAVAILABLE)
    expect(await ask()).to.equal('unavailable/server_error')
    reload()
    expect(await ask()).to.equal('unavailable/rejected')
    expect(inForce.status()).to.include({ breaker: 'open', pausedForMs: 5_000 })
    expect(server.requests).to.have.length(1)
    server.answer(ACTIVE)
    reload({ timeoutMs: 1_234 })
    expect(await ask()).to.equal('active')
    expect(states).to.deep.equal(['closed', 'open', 'open', 'closed'])
  })

  it('begins anew with another secret: what refused the old one says nothing of it', async () => {
    const basicOf = (password: string) => ({ ...basic, password: new Secret(password) })
    server.answer({ status: 401 })
    reload({ security: basicOf('old') })
    expect(await ask()).to.equal('unavailable/unauthorized')
    reload({ security: basicOf('old') })
    expect(await ask()).to.equal('unavailable/rejected')
    server.answer({ body: { active: false } })
    reload({ security: basicOf('new') })
    expect(await inForce.probe()).to.include({ ok: true })
    expect(await ask()).to.equal('inactive')
  })

  it('F06 keeps the pause of a 429 over reloads, and the probe keeps and brings it too', async () => {
    server.answer(THROTTLED)
    expect(await inForce.probe()).to.include({ ok: false, outcome: 'throttled' })
    expect(await ask()).to.equal('unavailable/rejected')
    reload()
    expect(await ask()).to.equal('unavailable/rejected')
    expect(await inForce.probe()).to.include({ ok: false, outcome: 'rejected' })
    expect(server.requests).to.have.length(1)
    clock.advance(10_000)
    server.answer(ACTIVE)
    expect(await ask()).to.equal('active')
  })

  it('of a replaced configuration speaks no more, and its calls still count as in flight', async () => {
    const answers: ((answer: ScriptedAnswer) => void)[] = []
    server.answer(() => new Promise((resolve) => answers.push(resolve)))
    const arrived = async (count: number): Promise<void> => {
      while (answers.length < count) await new Promise(setImmediate)
    }
    const old = inForce
    const late = ask('late')
    await arrived(1)
    reload({ timeoutMs: 1_234 })
    const fresh = ask('fresh')
    await arrived(2)
    expect(inFlight).to.equal(2)
    answers[0]?.(UNAVAILABLE)
    expect(await late).to.equal('unavailable/server_error')
    expect(old.status().breaker).to.equal('open')
    answers[1]?.(ACTIVE)
    expect(await fresh).to.equal('active')
    expect(states).to.deep.equal(['closed', 'closed'])
    expect(logged).to.not.include('breaker_changed')
    expect(inFlight).to.equal(0)
  })
})
