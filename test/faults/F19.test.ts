import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { type OwnTokenPair, startOwnTokenPair } from '../support/authority.ts'
import { createFakeClock } from '../support/clock.ts'
import { FIGURES } from './figures.ts'

describe('F19 the answer to a refresh is lost on the wire', () => {
  let pair: OwnTokenPair
  afterEach(() => pair.close())

  it('P23 keeps the old refresh token, and never asks twice at once', async () => {
    const clock = createFakeClock({ wallMs: Date.now() })
    pair = await startOwnTokenPair({ grant: 'direct+refresh', rotate: true, clock })
    const { authority } = pair
    expect((await pair.ask('Bearer good-1')).reason).to.equal('allowed')
    let lost = 0
    authority.onToken = async () => {
      lost += 1
      authority.server.dropConnections()
      return { body: '' }
    }
    clock.advance(3_000_000)
    await pair.ask('Bearer good-2')
    for (let turn = 0; turn < 100_000 && lost === 0; turn += 1) await new Promise(setImmediate)
    authority.onToken = undefined
    // The old own token still serves while its renewal is backed off.
    expect((await pair.ask('Bearer good-3')).reason).to.equal('allowed')
    for (let turn = 0; turn < 100 && authority.tokenRequests.length < 3; turn += 1) {
      clock.advance(1_000)
      await pair.ask(`Bearer good-later-${turn}`)
    }
    expect(authority.tokenRequests.map(({ form }) => form.get('refresh_token')).slice(0, 3)).to.deep.equal([
      'refresh-0',
      'refresh-1',
      'refresh-1',
    ])
    expect(authority.mostTokenRequests).to.equal(FIGURES.F19.refreshesAtOnce)
    expect((await pair.ask('Bearer good-4')).reason).to.equal('allowed')
  })
})
