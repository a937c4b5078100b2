import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { type OwnTokenPair, startOwnTokenPair } from '../support/authority.ts'
import { FIGURES } from './figures.ts'

describe('F22 a cold start needs an own token', () => {
  let pair: OwnTokenPair
  afterEach(() => pair.close())

  it('P20 all Checks wait for one token request', async () => {
    let release: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    pair = await startOwnTokenPair({
      flags: { 'keyManager.maxWaiting': '20000', 'keyManager.timeout': '60s' },
      prepare: (authority) => {
        authority.onToken = async () => {
          await gate
          return undefined
        }
      },
    })
    const asked = Array.from({ length: FIGURES.F22.checks }, (_, index) =>
      pair.ask(`Bearer good-${index}`, { deadlineMs: 60_000 }),
    )
    for (let turn = 0; turn < 100_000 && pair.authority.tokenRequests.length === 0; turn += 1)
      await new Promise(setImmediate)
    expect(pair.authority.introspections).to.have.length(0)
    release()
    const reasons = new Set((await Promise.all(asked)).map(({ reason }) => reason))
    expect([...reasons]).to.deep.equal(['allowed'])
    expect(pair.authority.tokenRequests).to.have.length(FIGURES.F22.tokenRequests)
  })

  it('P20 while it is backed off, Checks are refused at once and the start has not failed', async () => {
    pair = await startOwnTokenPair({
      prepare: (authority) => {
        authority.onToken = () => ({ status: 503, body: '' })
      },
    })
    const first = await pair.ask('Bearer good-1')
    expect(first.status).to.equal('ServiceUnavailable')
    expect(Number(first.headers['retry-after'])).to.be.at.least(1)
    expect(pair.authority.introspections).to.have.length(0)
    expect(await pair.metric('microgw_introspections_total{outcome="rejected"}')).to.be.at.least(1)
  })
})
