import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { connectChecks, httpCheck } from '../support/check-client.ts'
import { inSeconds, type Pair, seenIn, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

describe('F20 10,000 concurrent Checks of one cold token', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('make one introspection', async () => {
    pair = await startPair({ flags: { 'keyManager.timeout': '30s' } })
    const { promise, resolve } = Promise.withResolvers<void>()
    pair.keyManager.answer(async () => {
      await promise
      return { body: { active: true, exp: inSeconds(300) } }
    })
    const address = pair.running.app.addresses.extAuthz[0] ?? ''
    const clients = Array.from({ length: FIGURES.F20.connections }, () => connectChecks(address))
    const request = httpCheck({ method: 'GET', path: '/', host: 'h', headers: { authorization: 'Bearer cold' } })
    const each = FIGURES.F20.checks / clients.length
    const replies = clients.flatMap((client) => Array.from({ length: each }, () => client.check(request)))
    // Every one of them aboard before the key manager says a word: none is served from memory.
    const aboard = FIGURES.F20.checks - 1
    while ((await pair.metric('microgw_introspection_waiters_total')) < aboard);
    resolve()
    const seen = (await Promise.all(replies)).map(seenIn)
    expect(seen.every((one) => one.allowed)).to.equal(true)
    expect(pair.keyManager.requests).to.have.length(FIGURES.F20.introspections)
    for (const client of clients) client.close()
  }).timeout(60_000)
})
