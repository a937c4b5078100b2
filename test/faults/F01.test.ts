import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

describe('F01 a slow key manager', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('is answered before the caller deadline, never an allow, and the late answer is there for the retry', async () => {
    pair = await startPair()
    let release = (): void => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    pair.keyManager.answer(async () => {
      await held
      return { body: { active: true, exp: inSeconds(300) } }
    })
    // Client and server share this process: a late timer of the client's is Envoy's own 503, never an allow.
    await pair.ask(undefined)
    const settled = await Promise.allSettled(
      Array.from({ length: 100 }, () => pair.ask('Bearer slow', { deadlineMs: 1000 })),
    )
    const seen = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    // The share that is ours is measured in front of a real Envoy (test/envoy): here only that nothing is allowed.
    expect(seen.length).to.be.at.least(1)
    expect(seen.filter((one) => one.allowed)).to.have.length(FIGURES.F01.allows)
    expect(
      seen.every((one) => one.reason === 'key_manager_unavailable' && one.headers['retry-after'] === '1'),
    ).to.equal(true)
    release()
    const retry = await pair.ask('Bearer slow')
    expect(retry.allowed).to.equal(true)
    expect(pair.keyManager.requests).to.have.length(1)
  })
})
