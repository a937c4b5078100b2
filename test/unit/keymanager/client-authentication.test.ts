import { expect } from 'chai'
import { describe, it } from 'mocha'
import { Secret } from '../../../src/config/secret.ts'
import {
  createClientAuthentication,
  formBasic,
  isSpeltDifferentlyInForm,
  rawBasic,
} from '../../../src/keymanager/client-authentication.ts'
import { FormBody } from '../../../src/keymanager/form-body.ts'
import { basic } from './support.ts'

describe('client authentication', () => {
  it('C40 form-encodes the client id and secret before Base64', () => {
    expect(formBasic('1PpG/Q 1', 'z/tZ9VwFZqApmIQ+ZH1I5pLk/uB4ud:X2/8bL+wfFTt1rFw=')).to.equal(
      'Basic MVBwRyUyRlErMTp6JTJGdFo5VndGWnFBcG1JUSUyQlpIMUk1cExrJTJGdUI0dWQlM0FYMiUyRjhiTCUyQndmRlR0MXJGdyUzRA==',
    )
  })
  it('C43 raw sends the very characters', () => {
    expect(rawBasic('admin@carbon.super', 'ü%+')).to.equal(
      `Basic ${Buffer.from('admin@carbon.super:ü%+').toString('base64')}`,
    )
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
