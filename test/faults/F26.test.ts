import { once } from 'node:events'
import { connect } from 'node:net'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { basicConfig } from '../support/app.ts'
import { type CheckClient, connectChecks, httpCheck } from '../support/check-client.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'
import { inSeconds, type Seen, seenIn } from '../support/pair.ts'
import { FIGURES } from './figures.ts'
import { type OwnProcess, startOwnProcess } from './own-process.ts'

const { drainDelayMs, drainTimeoutMs, slackMs, failedInFlight } = FIGURES.F26

describe('F26 SIGTERM under load', () => {
  let keyManager: ScriptedKeyManager
  let sidecar: OwnProcess
  let client: CheckClient

  beforeEach(async () => {
    keyManager = await startKeyManager()
    sidecar = await startOwnProcess(basicConfig(keyManager.url), {
      'extAuthz.drainDelay': `${drainDelayMs}ms`,
      'extAuthz.drainTimeout': `${drainTimeoutMs}ms`,
      'extAuthz.drainHealth': 'true',
      'keyManager.timeout': '20s',
    })
    client = connectChecks(sidecar.address)
  })

  afterEach(async () => {
    client.close()
    await sidecar.close()
    await keyManager.close()
  })

  const ask = async (token: string): Promise<Seen> =>
    seenIn(await client.check(httpCheck({ headers: { authorization: `Bearer ${token}` } })))

  async function accepts(): Promise<boolean> {
    const socket = connect(Number(sidecar.address.split(':').at(-1)), '127.0.0.1')
    const accepted = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    return accepted
  }

  /** The exit status and how long after the signal it came. */
  async function terminate(): Promise<{ exit: number; afterMs: number }> {
    const signalledAt = performance.now()
    sidecar.signal('SIGTERM')
    const exit = await sidecar.exited
    return { exit, afterMs: performance.now() - signalledAt }
  }

  it('finishes what is in flight, serves on while it waits to be taken out, and is out in time', async () => {
    keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
    await ask('kept')
    const held = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    keyManager.answer(async () => {
      arrived.resolve()
      await held.promise
      return { body: { active: true, exp: inSeconds(300) } }
    })
    const inFlight = Array.from({ length: 50 }, (_, i) => ask(`slow${i}`))
    await arrived.promise
    const out = terminate()
    // New ones come in until the listener closes; each of them is answered too.
    let isOut = false
    void out.then(() => {
      isOut = true
    })
    const during: Seen[] = []
    const until = performance.now() + drainDelayMs / 2
    while (performance.now() < until) during.push(...(await Promise.all(Array.from({ length: 20 }, () => ask('kept')))))
    // Only then, past the delay, does the key manager answer.
    while (await accepts()) expect(isOut).to.equal(false)
    held.resolve()
    const seen = [...(await Promise.all(inFlight)), ...during]
    expect(during.length).to.be.greaterThan(20)
    expect(seen.filter((one) => !one.allowed)).to.have.length(failedInFlight)
    const { exit, afterMs } = await out
    expect(exit).to.equal(0)
    expect(afterMs)
      .to.be.at.least(drainDelayMs)
      .and.at.most(drainDelayMs + drainTimeoutMs)
    const after = await client
      .check(httpCheck({ headers: { authorization: 'Bearer kept' } }), { deadlineMs: 300 })
      .catch(() => 'refused')
    expect(after).to.equal('refused')
  })

  it('denies in time what the key manager does not answer', async () => {
    keyManager.answer(() => undefined)
    const inFlight = Promise.all(Array.from({ length: 50 }, (_, i) => ask(`stuck${i}`)))
    while (keyManager.requests.length < 50) await sidecar.metric('microgw_checks_in_flight')
    const signalledAt = performance.now()
    const out = terminate()
    const seen = await inFlight
    expect(performance.now() - signalledAt).to.be.at.most(drainDelayMs + drainTimeoutMs + slackMs)
    expect(seen.every((one) => one.reason === 'key_manager_unavailable')).to.equal(true)
    // The calls that hang last for keyManager.timeout, ten times as long: nobody waits for them.
    const { exit, afterMs } = await out
    expect(exit).to.equal(0)
    expect(afterMs).to.be.at.most(drainDelayMs + drainTimeoutMs + slackMs)
  })
})
