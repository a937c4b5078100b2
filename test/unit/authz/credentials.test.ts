import { expect } from 'chai'
import fc from 'fast-check'
import { describe, it } from 'mocha'
import { readCredentials } from '../../../src/authz/credentials.ts'

const kindOf = (value: string | undefined, count = 1): string => readCredentials(value, count).kind

describe('bearer credentials', () => {
  it('C70 takes the scheme in any case and one or more spaces', () => {
    for (const value of ['Bearer abc', 'bearer abc', 'BEARER   abc', 'Bearer a-._~+/b=='])
      expect(kindOf(value), value).to.equal('bearer')
  })

  it('C71 C72 refuses what is not one b64token', () => {
    const values = [
      'Bearer',
      'Bearer ',
      'Bearer a=b',
      'Bearer a b',
      'Bearer a,b',
      'Bearer a,Bearer b',
      'Bearer a ',
      'Bearer\ta',
      'Bearer a\u00a0',
      'Bearer \u00c2\u00a0a',
      'Bearer a!',
      'Basic x,Bearer a',
      'Basic x, bearer a',
      'Basic x,\u00a0Bearer a',
      'Bearer ""',
    ]
    for (const value of values) expect(kindOf(value), JSON.stringify(value)).to.equal('malformed')
  })

  it('C72 refuses two credentials headers, however good each is', () => {
    expect(kindOf('Bearer abc', 2)).to.equal('malformed')
  })

  it('C73 takes nothing, and another scheme, as missing', () => {
    expect(readCredentials(undefined, 0)).to.deep.equal({ kind: 'missing', otherScheme: false })
    for (const value of [
      'Basic YTpi',
      'bearerX abc',
      'DPoP abc',
      'abc',
      'Digest username="a", realm="b"',
      'Basic abc ',
      'Basic\tabc',
    ]) {
      expect(readCredentials(value, 1), value).to.deep.equal({ kind: 'missing', otherScheme: true })
    }
  })

  it('refuses a token of more than 8 KiB and takes one of exactly that', () => {
    expect(kindOf(`Bearer ${'a'.repeat(8192)}`)).to.equal('bearer')
    expect(kindOf(`Bearer ${'a'.repeat(8193)}`)).to.equal('malformed')
  })

  it('property: a bearer token is always what RFC 6750 calls a b64token', () => {
    const pieces = fc.constantFrom('Bearer', 'bearer', 'Basic', ' ', ',', '\t', 'abc', '=', '\u00a0', 'x.y', '!')
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 8 }), (parts) => {
        const read = readCredentials(parts.join(''), 1)
        if (read.kind === 'bearer') expect(read.token).to.match(/^[A-Za-z0-9\-._~+/]+=*$/)
      }),
      { numRuns: 2000 },
    )
  })
})
