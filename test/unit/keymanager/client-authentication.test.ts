import { expect } from 'chai'
import { describe, it } from 'mocha'
import { Secret } from '../../../src/config/secret.ts'
import {
  createClientAuthentication,
  formBasic,
  isSpeltDifferentlyInForm,
  rawBasic,
} from '../../../src/keymanager/client-authentication.ts'
import { FormBody, formEncode } from '../../../src/keymanager/form-body.ts'
import { basic } from './support.ts'

describe('client authentication', () => {
  it('C40 form-encodes the client id and secret before Base64', () => {
    expect(formBasic('1PpG/Q 1', 'z/tZ9VwFZqApmIQ+ZH1I5pLk/uB4ud:X2/8bL+wfFTt1rFw=')).to.equal(
      'Basic MVBwRyUyRlErMTp6JTJGdFo5VndGWnFBcG1JUSUyQlpIMUk1cExrJTJGdUI0dWQlM0FYMiUyRjhiTCUyQndmRlR0MXJGdyUzRA==',
    )
  })
  it('C41 encodes the Appendix B vector', () => expect(formEncode(' %&+£€')).to.equal('+%25%26%2B%C2%A3%E2%82%AC'))
  it('C42 leaves A-Za-z0-9*-._ alone', () => expect(formEncode('aZ09*-._~')).to.equal('aZ09*-._%7E'))
  it('C43 raw sends the very characters', () => {
    expect(rawBasic('admin@carbon.super', 'ü%+')).to.equal(
      `Basic ${Buffer.from('admin@carbon.super:ü%+').toString('base64')}`,
    )
  })

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

  const spelt = (security: Parameters<typeof createClientAuthentication>[0]) => {
    const form = new FormBody()
    form.add('token', 't')
    const request = {
      url: 'https://km.example.com/introspect',
      headers: {} as Record<string, string>,
      form,
    }
    createClientAuthentication(security, Date.now)(request)
    return { headers: request.headers, form: request.form.toString() }
  }
  it('C46 post puts both into the body and nothing into a header', () => {
    expect(spelt({ ...basic, method: 'post' })).to.deep.equal({
      headers: {},
      form: 'token=t&client_id=admin%40carbon.super&client_secret=canary%25secret',
    })
  })
  it('C46 header puts nothing into the body', () => {
    expect(spelt(basic)).to.deep.equal({
      headers: { authorization: rawBasic('admin@carbon.super', 'canary%secret') },
      form: 'token=t',
    })
  })
  it('C07 none sends nothing', () => expect(spelt({ kind: 'none' })).to.deep.equal({ headers: {}, form: 'token=t' }))
  it('knows which credentials the two encodings spell differently', () => {
    expect(isSpeltDifferentlyInForm(basic)).to.equal(true)
    expect(isSpeltDifferentlyInForm({ ...basic, username: 'a', password: new Secret('b-c.d_e') })).to.equal(false)
    expect(isSpeltDifferentlyInForm({ ...basic, encoding: 'form' })).to.equal(false)
  })
})
