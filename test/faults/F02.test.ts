import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'

describe('F02 headers, then a stall, or one byte a second', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('ends by the total timer, the socket destroyed', async () => {
    pair = await startPair({ flags: { 'keyManager.timeout': '100ms', 'keyManager.breaker.openFor': '10ms' } })
    pair.keyManager.answer((_, { response }) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write('{"active":')
      return undefined
    })
    const seen = await Promise.all(Array.from({ length: 100 }, (_, i) => pair.ask(`Bearer stall${i}`)))
    expect(seen.every((one) => one.reason === 'key_manager_unavailable')).to.equal(true)
    expect(await pair.metric('microgw_introspections_total{outcome="timeout"}')).to.be.greaterThan(0)
    // A call that works again shows that no place is held by a stalled one.
    pair.keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
    let after = await pair.ask('Bearer after')
    for (let i = 0; i < 500 && !after.allowed; i++) after = await pair.ask('Bearer after')
    expect(after.allowed).to.equal(true)
    expect(pair.keyManager.openConnections).to.be.at.most(64)
  })
})
