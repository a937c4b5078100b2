import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
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

  it('is refused in the configuration', async () => {
    pair = await startPair()
    pair.running.rewrite('[__proto__]\npolluted = "yes"\n')
    expect(await pair.running.app.reload()).to.equal('failure')
    expect(Reflect.get({}, 'polluted')).to.equal(undefined)
  })
})
