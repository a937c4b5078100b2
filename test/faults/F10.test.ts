import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'

describe('F10 invalid JSON', () => {
  let pair: Pair
  afterEach(() => pair.close())

  for (const [name, body] of [
    ['truncated', '{"active":true'],
    ['30,000 deep', `{"active":true,"a":${'['.repeat(30_000)}${']'.repeat(30_000)}}`],
    ['active twice', '{"active":false,"active":true}'],
    ['active twice, escaped', '{"active":false,"\\u0061ctive":true}'],
    ['a string', '{"active":"true"}'],
    ['a list', '[{"active":true}]'],
    ['1e400', '{"active":true,"exp":1e400}'],
    ['nothing', ''],
  ] as const) {
    it(`denies and remembers nothing: ${name}`, async () => {
      pair = await startPair()
      pair.keyManager.answer({ headers: { 'content-type': 'application/json' }, body })
      expect((await pair.ask('Bearer odd')).reason).to.equal('key_manager_unavailable')
      pair.keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
      expect((await pair.ask('Bearer odd')).allowed).to.equal(true)
    })
  }
})
