import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { basicConfig } from '../support/app.ts'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'

describe('F31 __proto__ in JSON and TOML', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('is inert in an answer', async () => {
    pair = await startPair({ toml: '[policy]\nrequiredClaims = ["polluted"]\n' })
    pair.keyManager.answer({
      headers: { 'content-type': 'application/json' },
      body: `{"active":true,"exp":${inSeconds(300)},"__proto__":{"polluted":"yes"},"constructor":{"prototype":{"polluted":"yes"}}}`,
    })
    expect((await pair.ask('Bearer t')).reason).to.equal('missing_claim')
    expect(Reflect.get({}, 'polluted')).to.equal(undefined)
  })

  it('is no claim that every token has', async () => {
    pair = await startPair({
      toml: '[policy]\nrequiredClaims = ["__proto__"]\n[upstreamHeaders]\nx-c = "constructor"\n',
    })
    pair.keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
    expect((await pair.ask('Bearer t')).reason).to.equal('missing_claim')
  })

  it('is refused in the configuration', async () => {
    pair = await startPair()
    for (const table of ['[__proto__]\npolluted = "yes"\n', '[policy.__proto__]\npolluted = "yes"\n']) {
      // Usable but for this table.
      pair.running.rewrite(basicConfig(pair.keyManager.url, table))
      expect(await pair.running.app.reload()).to.equal('failure')
      const refused = pair.running.logs.filter((line) => line.includes('config_reload_failed')).at(-1) ?? ''
      expect(refused).to.contain('`__proto__` cannot be used as a key')
    }
    pair.running.rewrite(basicConfig(pair.keyManager.url))
    expect(await pair.running.app.reload()).to.equal('success')
    expect(Reflect.get({}, 'polluted')).to.equal(undefined)
  })
})
