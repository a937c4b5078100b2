import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { startKeyManager } from '../support/key-manager.ts'
import { type Pair, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

describe('F08 a redirect to another host', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('is refused: nothing goes there', async () => {
    const elsewhere = await startKeyManager()
    pair = await startPair()
    for (const status of [301, 302, 303, 307, 308]) {
      pair.keyManager.answer({ status, headers: { location: elsewhere.url } })
      expect((await pair.ask(`Bearer r${status}`)).reason).to.equal('key_manager_unavailable')
    }
    expect(elsewhere.requests).to.have.length(FIGURES.F08.requestsElsewhere)
    expect(await pair.metric('microgw_introspections_total{outcome="client_error"}')).to.equal(5)
    await elsewhere.close()
  })
})
