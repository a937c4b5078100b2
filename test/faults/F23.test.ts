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

  it('is counted as one whose caller left, not as a failure of the key manager', async () => {
    pair = await startPair()
    const held = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    pair.keyManager.answer(async () => {
      arrived.resolve()
      await held.promise
      return { body: { active: true, exp: inSeconds(300) } }
    })
    const request = httpCheck({ method: 'GET', path: '/', host: 'h', headers: { authorization: 'Bearer alone' } })
    const { call, reply } = pair.client.start(request)
    const ended = reply.catch(() => undefined)
    await arrived.promise
    call.cancel()
    await ended
    while ((await pair.metric('microgw_checks_cancelled_total')) < 1);
    held.resolve()
    while ((await pair.metric('microgw_introspections_total{outcome="active"}')) < 1);
    expect(await pair.metric('microgw_checks_total{decision="deny",reason="key_manager_unavailable"}')).to.equal(1)
    expect(await pair.metric('microgw_introspections_total{outcome="timeout"}')).to.equal(0)
    const logged = pair.running.logs.filter((line) => line.includes('"event":"decision"'))
    expect(logged).to.have.length(1)
    expect(logged[0]).to.include('cancelled by the caller')
    expect((await pair.ask('Bearer alone')).cache).to.equal('hit')
  })
})
