import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { httpCheck } from '../support/check-client.ts'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'

describe('F23 the request that started a flight is cancelled', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('takes nobody with it', async () => {
    pair = await startPair()
    const { promise, resolve } = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    pair.keyManager.answer(async () => {
      arrived.resolve()
      await promise
      return { body: { active: true, exp: inSeconds(300) } }
    })
    const request = httpCheck({ method: 'GET', path: '/', host: 'h', headers: { authorization: 'Bearer shared' } })
    const first = pair.client.start(request)
    const cancelled = first.reply.catch((error: unknown) => error)
    await arrived.promise
    const others = Array.from({ length: 20 }, () => pair.ask('Bearer shared'))
    // All of them have boarded the flight before its first passenger leaves.
    while ((await pair.metric('microgw_introspection_waiters_total')) < others.length);
    first.call.cancel()
    await cancelled
    resolve()
    const seen = await Promise.all(others)
    expect(seen.every((one) => one.allowed)).to.equal(true)
    expect(pair.keyManager.requests).to.have.length(1)
  })
})
