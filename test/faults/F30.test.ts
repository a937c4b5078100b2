import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'

describe('F30 a client sends our managed headers', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('each is overwritten or removed on every allow, anonymous too, in both spellings', async () => {
    pair = await startPair({ toml: '[[policy.rules]]\nname = "open"\npaths = ["/open/*"]\nanonymous = true\n' })
    pair.keyManager.answer({ body: { active: true, sub: 'alice', exp: inSeconds(300) } })
    const managed = ['x-auth-subject', 'x-auth-username', 'x-auth-client-id', 'x-auth-scope']
    for (const authorization of ['Bearer t', undefined]) {
      const seen = await pair.ask(authorization, { path: '/open/x', headers: { 'x-auth-subject': 'evil' } })
      expect(seen.allowed).to.equal(true)
      for (const name of managed) {
        const set = name in seen.headers
        expect(seen.removed.includes(name), name).to.equal(!set)
        expect(seen.removed).to.include(name.replaceAll('-', '_'))
      }
      expect(Object.values(seen.headers)).to.not.include('evil')
      expect(seen.removed).to.include('authorization')
    }
  })
})
