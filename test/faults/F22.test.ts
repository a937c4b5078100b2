import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { type OwnTokenPair, startOwnTokenPair } from '../support/authority.ts'
import { connectChecks, httpCheck } from '../support/check-client.ts'
import { seenIn } from '../support/pair.ts'
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
    const address = pair.running.app.addresses.extAuthz[0] ?? ''
    const clients = Array.from({ length: FIGURES.F22.connections }, () => connectChecks(address))
    const each = FIGURES.F22.checks / clients.length
    const replies = clients.flatMap((client, connection) =>
      Array.from({ length: each }, (_, index) => {
        const headers = { authorization: `Bearer good-${connection}-${index}` }
        return client.check(httpCheck({ method: 'GET', path: '/', host: 'h', headers }), { deadlineMs: 60_000 })
      }),
    )
    // Every one of them aboard before the token endpoint says a word.
    while ((await pair.metric('microgw_checks_in_flight')) < FIGURES.F22.checks);
    expect(pair.authority.tokenRequests).to.have.length(FIGURES.F22.tokenRequests)
    expect(pair.authority.introspections).to.have.length(0)
    release()
    const reasons = new Set((await Promise.all(replies)).map((reply) => seenIn(reply).reason))
    expect([...reasons]).to.deep.equal(['allowed'])
    for (const client of clients) client.close()
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
