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

  const UNREMEMBERED = '[caching]\ninactiveExpiryTime = "0s"\n'
  for (const [later, toml, reason] of [
    [{ active: false }, '', 'inactive_token'],
    [{ active: false }, UNREMEMBERED, 'inactive_token'],
    [{ active: true, scope: 'a' }, '', 'insufficient_scope'],
  ] as const)
    it(`an answer asked for before the reload does not take the place of a later one: ${JSON.stringify([later, toml])}`, async () => {
      pair = await startPair({ toml })
      const asked = Promise.withResolvers<void>()
      const held = Promise.withResolvers<void>()
      pair.keyManager.answer(async (_, { index }) => {
        if (index > 0) return { body: { ...later, exp: inSeconds(300) } }
        asked.resolve()
        await held.promise
        return { body: { active: true, scope: 'b', exp: inSeconds(300) } }
      })
      const before = pair.ask('Bearer revoked-meanwhile')
      await asked.promise
      pair.running.rewrite(basicConfig(pair.keyManager.url, `${toml}[policy]\nrequiredScopes = ["b"]\n`))
      expect(await pair.running.app.reload()).to.equal('success')
      expect((await pair.ask('Bearer revoked-meanwhile')).reason).to.equal(reason)
      held.resolve()
      expect((await before).allowed).to.equal(true)
      expect((await pair.ask('Bearer revoked-meanwhile')).reason).to.equal(reason)
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
