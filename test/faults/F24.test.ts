import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

describe('F24 a broken configuration on reload', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('keeps the old one, names key and line, and loses no request', async () => {
    pair = await startPair()
    pair.keyManager.tokens.set('good', { active: true, exp: inSeconds(300) })
    const before = Array.from({ length: 50 }, () => pair.ask('Bearer good'))
    pair.running.rewrite('[keyManager]\nexternal = true\ntimeout = "soon"\nsecretish = "canary-in-file"\n')
    expect(await pair.running.app.reload()).to.equal('failure')
    const seen = await Promise.all([...before, ...Array.from({ length: 50 }, () => pair.ask('Bearer good'))])
    expect(seen.filter((one) => !one.allowed)).to.have.length(FIGURES.F24.lostRequests)
    const line = pair.running.logs.find((text) => text.includes('config_reload_failed')) ?? ''
    expect(line).to.contain('keyManager.timeout').and.contain('"line":3').and.not.contain('canary-in-file')
    expect(await pair.metric('microgw_config_reloads_total{outcome="failure"}')).to.equal(1)
  })
})
