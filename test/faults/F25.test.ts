import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { basicConfig } from '../support/app.ts'
import { startKeyManager } from '../support/key-manager.ts'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

describe('F25 another key manager on reload', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('makes the old answers unreachable', async () => {
    const other = await startKeyManager()
    pair = await startPair()
    pair.keyManager.tokens.set('good', { active: true, exp: inSeconds(300) })
    expect((await pair.ask('Bearer good')).allowed).to.equal(true)
    pair.running.rewrite(basicConfig(other.url))
    expect(await pair.running.app.reload()).to.equal('success')
    const seen = await pair.ask('Bearer good')
    expect([seen].filter((one) => one.cache === 'hit')).to.have.length(FIGURES.F25.hitsAcross)
    expect(seen.reason).to.equal('inactive_token')
    expect(other.requests).to.have.length(1)
    await other.close()
  })

  it('keeps remembered answers where only policy changes, and the new policy holds at once', async () => {
    pair = await startPair()
    pair.keyManager.tokens.set('good', { active: true, scope: 'a', exp: inSeconds(300) })
    await pair.ask('Bearer good')
    pair.running.rewrite(basicConfig(pair.keyManager.url, '[policy]\nrequiredScopes = ["b"]\n'))
    expect(await pair.running.app.reload()).to.equal('success')
    expect(await pair.ask('Bearer good')).to.include({ reason: 'insufficient_scope', cache: 'hit' })
  })
})
