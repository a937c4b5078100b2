import { expect } from 'chai'
import { describe, it } from 'mocha'
import { isLoopback, shownUrl, urlProblem } from '../../../src/config/url.ts'

describe('a URL that receives tokens', () => {
  it('C08 may be plain http to loopback alone: names and addresses that only look so are elsewhere', () => {
    for (const host of ['localhost', 'LOCALHOST', '127.0.0.1', '127.9.8.7', '[::1]']) {
      expect(isLoopback(host), host).to.equal(true)
      expect(urlProblem(`http://${host}/x`, { allowInsecure: false, allowQuery: false }), host).to.equal(undefined)
    }
    const others = [
      'notlocalhost',
      'km-localhost',
      'km.localhost',
      'localhost.example.com',
      'x.127.0.0.1',
      '127.0.0.1.example.com',
      '1127.0.0.1.example',
      '[::2]',
      '10.0.0.1',
    ]
    for (const host of others) {
      expect(isLoopback(host), host).to.equal(false)
      expect(urlProblem(`http://${host}/x`, { allowInsecure: false, allowQuery: false }), host).to.be.a('string')
      expect(urlProblem(`https://${host}/x`, { allowInsecure: false, allowQuery: false }), host).to.be.oneOf([
        undefined,
        'is not a well-formed URL',
      ])
    }
  })

  it('is shown without its query, in whatever letters it is written', () => {
    for (const scheme of ['https', 'HTTPS', 'http'])
      expect(shownUrl(`${scheme}://h/p?key=canary`)).to.equal(`${scheme}://h/p?[redacted]`)
    expect(shownUrl('a text with a ? in it')).to.equal('a text with a ? in it')
  })
})
