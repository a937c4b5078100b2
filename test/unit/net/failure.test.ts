import { expect } from 'chai'
import { describe, it } from 'mocha'
import { translateFailure } from '../../../src/net/failure.ts'

describe('a failure in our own words', () => {
  it('quotes nothing but codes: a foreign text may hold a secret', () => {
    for (const code of ['Basic c2VjcmV0', 'canary', 'E canary', 7, undefined]) {
      const told = translateFailure(Object.assign(new Error('canary c2VjcmV0'), { code }))
      expect(JSON.stringify(told), String(code)).to.not.match(/canary|c2VjcmV0/)
      expect(told.kind).to.equal('network')
    }
    expect(translateFailure('canary').detail).to.not.include('canary')
  })

  it('tells the cause behind an error that says less', () => {
    const cause = Object.assign(new Error('x'), { code: 'ECONNREFUSED' })
    const wrapped = Object.assign(new Error('y', { cause }), { code: 'ERR_GOT_REQUEST_ERROR' })
    expect(translateFailure(wrapped)).to.deep.equal(translateFailure(cause))
    expect(translateFailure(cause).detail).to.include('ECONNREFUSED')
  })
})
