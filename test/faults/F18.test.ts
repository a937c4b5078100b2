import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { type OwnTokenPair, startOwnTokenPair } from '../support/authority.ts'
import { createFakeClock } from '../support/clock.ts'
import { FIGURES } from './figures.ts'

const DEAD = { status: 400, body: { error: 'invalid_grant' } }

describe('F18 refresh answers invalid_grant', () => {
  let pair: OwnTokenPair
  afterEach(() => pair.close())

  it('P23 falls back to the password grant where that is configured', async () => {
    const clock = createFakeClock({ wallMs: Date.now() })
    pair = await startOwnTokenPair({ grant: 'password+refresh', rotate: true, clock })
    await pair.ask('Bearer good-1')
    pair.authority.onToken = (request) => (request.form.get('grant_type') === 'refresh_token' ? DEAD : undefined)
    clock.advance(3_000_000)
    await until(() => pair.authority.tokenRequests.length === 3)
    expect(pair.authority.tokenRequests.map(({ form }) => form.get('grant_type'))).to.deep.equal([
      'password',
      'refresh_token',
      'password',
    ])
    expect((await pair.ask('Bearer good-2')).reason).to.equal('allowed')
  })

  it('P23 is backed off and said where nothing is left to fall back to', async () => {
    const clock = createFakeClock({ wallMs: Date.now() })
    pair = await startOwnTokenPair({
      grant: 'direct+refresh',
      clock,
      prepare: (authority) => {
        authority.onToken = () => DEAD
      },
    })
    await pair.ask('Bearer good-1')
    for (let elapsed = 0; elapsed < FIGURES.F18.windowMs - 1_000; elapsed += 1_000) {
      clock.advance(1_000)
      await pair.ask('Bearer good-1')
    }
    expect(pair.authority.tokenRequests).to.have.length(FIGURES.F18.tries)
    expect(pair.running.logs.join('')).to.include('"error":"invalid_grant"')
    const ready = await fetch(`http://${pair.running.app.addresses.admin}/readyz`)
    expect(ready.status).to.equal(200)
    pair.authority.onToken = undefined
    clock.advance(7_000)
    await until(() => pair.authority.tokenRequests.length === 2)
    expect((await pair.ask('Bearer good-2')).reason).to.equal('allowed')
  })
})

/** Waits for the network, one turn of the event loop at a time. */
async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100_000 && !condition(); turn += 1) await new Promise(setImmediate)
  expect(condition()).to.equal(true)
}
