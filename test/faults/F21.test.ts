import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

describe('F21 10,000 different tokens at once', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('never has more in flight than maxInFlight; the rest wait or get 503', async () => {
    pair = await startPair({
      flags: { 'keyManager.maxInFlight': '16', 'keyManager.maxWaiting': '200', 'keyManager.timeout': '30s' },
    })
    pair.keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
    const seen = await Promise.all(Array.from({ length: FIGURES.F21.tokens }, (_, i) => pair.ask(`Bearer t${i}`)))
    expect(pair.keyManager.mostInFlight).to.be.at.most(16)
    expect(new Set(seen.map((one) => one.reason))).to.satisfy((reasons: Set<string>) =>
      [...reasons].every((reason) => reason === 'allowed' || reason === 'overloaded'),
    )
    expect(seen.some((one) => one.allowed)).to.equal(true)
    expect(seen.some((one) => one.reason === 'overloaded' && one.headers['retry-after'] === '1')).to.equal(true)
    expect((await pair.ask('Bearer afterwards')).allowed).to.equal(true)
  }).timeout(60_000)
})
