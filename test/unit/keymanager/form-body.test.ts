import { expect } from 'chai'
import { describe, it } from 'mocha'
import { FormBody, formEncode } from '../../../src/keymanager/form-body.ts'

describe('a form', () => {
  it('C41 encodes the Appendix B vector', () => expect(formEncode(' %&+£€')).to.equal('+%25%26%2B%C2%A3%E2%82%AC'))
  it('C42 leaves A-Za-z0-9*-._ alone', () => expect(formEncode('aZ09*-._~')).to.equal('aZ09*-._%7E'))

  it('writes a form as URLSearchParams does', () => {
    const characters = Array.from({ length: 0x250 }, (_, code) => String.fromCharCode(code))
    const texts = ['', ...characters, 'a b', 'plain-._*', '€😀', '\ud800', 'x\udc00y', '%41&=+', characters.join('')]
    for (const text of texts) {
      const form = new FormBody()
      form.add('token', text)
      form.add(text, 'value')
      expect(form.toString()).to.equal(
        new URLSearchParams([
          ['token', text],
          [text, 'value'],
        ]).toString(),
      )
    }
  })

  it('keeps the order, and a name that comes twice', () => {
    const form = new FormBody()
    for (const [name, value] of [
      ['token', 't'],
      ['resource', 'https://a'],
      ['resource', 'https://b'],
    ] as const)
      form.add(name, value)
    expect(form.toString()).to.equal('token=t&resource=https%3A%2F%2Fa&resource=https%3A%2F%2Fb')
  })
})
