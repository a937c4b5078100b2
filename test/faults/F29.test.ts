import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'

describe('F29 claims with CR, LF, NUL, emoji, 32 KiB', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('leave nothing outside 0x20-0x7E in any header; what is too long is removed', async () => {
    pair = await startPair()
    pair.keyManager.answer({
      body: {
        active: true,
        sub: 'a\r\nx: y\u0000\u{1f600} ',
        username: 'x'.repeat(32 * 1024),
        client_id: 'ok',
        exp: inSeconds(300),
      },
    })
    for (const cache of ['miss', 'hit']) {
      const seen = await pair.ask('Bearer t')
      expect(seen).to.include({ allowed: true, cache })
      for (const value of Object.values(seen.headers)) expect(value).to.match(/^[\x20-\x7e]+$/)
      expect(seen.headers['x-auth-subject']).to.equal('a%0D%0Ax: y%00%F0%9F%98%80%20')
      expect(seen.headers).to.not.have.property('x-auth-username')
      expect(seen.removed).to.include('x-auth-username')
    }
  })

  it('a value that only its encoding makes too long is removed as well', async () => {
    pair = await startPair()
    pair.keyManager.answer({ body: { active: true, sub: '\u{1f600}'.repeat(1024), exp: inSeconds(300) } })
    const seen = await pair.ask('Bearer t')
    expect(seen.allowed).to.equal(true)
    expect(seen.headers).to.not.have.property('x-auth-subject')
    expect(seen.removed).to.include('x-auth-subject')
  })
})
