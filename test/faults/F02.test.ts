import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

describe('F02 headers, then a stall, or one byte a second', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('ends by the total timer, the socket destroyed', async () => {
    pair = await startPair({
      flags: {
        'keyManager.timeout': '100ms',
        'keyManager.breaker.failures': '1000',
        'keyManager.breaker.openFor': '10ms',
      },
    })
    pair.keyManager.answer((_, { response }) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write('{"active":')
      return undefined
    })
    // As many at once as may be in flight, until enough calls have stalled.
    for (let round = 0; pair.keyManager.requests.length < FIGURES.F02.calls; round++) {
      const seen = await Promise.all(Array.from({ length: 64 }, (_, i) => pair.ask(`Bearer stall${round}-${i}`)))
      expect(seen.every((one) => one.reason === 'key_manager_unavailable')).to.equal(true)
    }
    expect(await pair.metric('microgw_introspections_total{outcome="timeout"}')).to.be.greaterThan(0)
    for (let i = 0; i < 200 && pair.keyManager.openConnections > 0; i++) {
      await fetch(`http://${pair.running.app.addresses.admin}/livez`)
    }
    expect(pair.keyManager.openConnections).to.equal(FIGURES.F02.leakedSockets)
    // A call that works again shows that no place is held by a stalled one.
    pair.keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
    let after = await pair.ask('Bearer after')
    for (let i = 0; i < 500 && !after.allowed; i++) after = await pair.ask('Bearer after')
    expect(after.allowed).to.equal(true)
  })

  it('ends by the total timer though a byte arrives now and then', async () => {
    pair = await startPair({ flags: { 'keyManager.timeout': '200ms' } })
    const closed = Promise.withResolvers<void>()
    let bytes = 0
    pair.keyManager.answer((_, { response }) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      // Each byte would set an idle timer back; at this pace the answer takes minutes.
      const drip = setInterval(() => {
        bytes += 1
        response.write(' ')
      }, 20)
      response.once('close', () => {
        clearInterval(drip)
        closed.resolve()
      })
      return undefined
    })
    expect((await pair.ask('Bearer drip')).reason).to.equal('key_manager_unavailable')
    await closed.promise
    expect(bytes).to.be.greaterThan(1)
    expect(await pair.metric('microgw_introspections_total{outcome="timeout"}')).to.equal(1)
  })
})
