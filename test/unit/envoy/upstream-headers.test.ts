import { expect } from 'chai'
import { describe, it } from 'mocha'
import { createClaimReader, headersFor, headersToRemove, headerValue } from '../../../src/envoy/upstream-headers.ts'
import { claimsOf, settingsOf } from './samples.ts'

describe('envoy/upstream-headers', () => {
  const values: readonly (readonly [claim: unknown, value: string | undefined])[] = [
    ['admin@carbon.super', 'admin@carbon.super'],
    ['100%', '100%'],
    ['two  words', 'two  words'],
    [' edge ', '%20edge%20'],
    ['   ', '%20%20%20'],
    ['émile', '%C3%A9mile'],
    ['a\r\nb\0\t', 'a%0D%0Ab%00%09'],
    ['😀', '%F0%9F%98%80'],
    ['\ud800', '%EF%BF%BD'],
    ['\x7f', '%7F'],
    [42, '42'],
    [0, '0'],
    [1.5, '1.5'],
    [Number.POSITIVE_INFINITY, undefined],
    [true, 'true'],
    [false, 'false'],
    [['a', 1, true], 'a 1 true'],
    [['a', { b: null }], '["a",{"b":null}]'],
    [[], undefined],
    [{ a: [1, 'é'] }, '{"a":[1,"%C3%A9"]}'],
    [{}, '{}'],
    ['', undefined],
    [null, undefined],
    [undefined, undefined],
    ['a'.repeat(8192), 'a'.repeat(8192)],
    ['a'.repeat(8193), undefined],
    ['é'.repeat(1366), undefined],
  ]
  for (const [claim, value] of values) {
    it(`F29 writes ${String(JSON.stringify(claim)).slice(0, 40)} as ${String(value).slice(0, 40)}`, () => {
      expect(headerValue(claim)).to.equal(value)
    })
  }

  it('takes the standard claims as they were read and others by their own name only', () => {
    const claims = claimsOf({ sub: 's', clientId: 'azp-of-it', scopes: ['a', 'b'], json: '{"tenant":"t","sub":"x"}' })
    const claimOf = createClaimReader(claims)
    expect(claimOf('sub')).to.equal('s')
    expect(claimOf('client_id')).to.equal('azp-of-it')
    expect(claimOf('scope')).to.equal('a b')
    expect(claimOf('tenant')).to.equal('t')
    expect(claimOf('constructor')).to.equal(undefined)
    expect(claimOf('__proto__')).to.equal(undefined)
  })

  it('keeps two users apart whose numbers JSON.parse makes one: headers hold the digits as written', () => {
    const rules = settingsOf({
      upstreamHeaders: [
        { header: 'x-user-id', claim: 'uid' },
        { header: 'x-groups', claim: 'gids' },
        { header: 'x-org', claim: 'org' },
      ],
    })
    const valuesFor = (digits: string) => {
      const json = `{"uid":${digits},"gids":[${digits},7,"a"],"org":{"id":${digits},"n":1.50}}`
      return headersFor(createClaimReader(claimsOf({ json })), rules).map(({ value }) => value)
    }
    for (const digits of [
      '12345678901234567890',
      '12345678901234567891',
      '12345678901234567000',
      '-9007199254740993',
      '9'.repeat(400),
    ]) {
      expect(valuesFor(digits)).to.deep.equal([digits, `${digits} 7 a`, `{"id":"${digits}","n":1.5}`])
    }
    expect(valuesFor('9007199254740991')[2]).to.equal('{"id":9007199254740991,"n":1.5}')
  })

  it('leaves numbers alone that are what was written, however long other members are', () => {
    const claimOf = createClaimReader(
      claimsOf({ json: '{"jti":"1234567890123456789","iat":1900000000,"ratio":0.30000000000000004,"big":1e999}' }),
    )
    expect(['jti', 'iat', 'ratio', 'big'].map(claimOf)).to.deep.equal([
      '1234567890123456789',
      1_900_000_000,
      0.30000000000000004,
      Number.POSITIVE_INFINITY,
    ])
  })

  it('fills one header from the first of its claims that has a value', () => {
    const rules = settingsOf({
      upstreamHeaders: [
        { header: 'x-user', claim: 'username' },
        { header: 'x-user', claim: 'sub' },
        { header: 'x-user', claim: 'client_id' },
      ],
    })
    expect(headersFor(createClaimReader(claimsOf({ sub: 's', clientId: 'c' })), rules)).to.deep.equal([
      { name: 'x-user', value: 's' },
    ])
  })

  it('removes what is not set, every spelling that CGI and WSGI fold into it, and the credentials', () => {
    const removed = headersToRemove(new Set(['x-auth-subject']), settingsOf(), false)
    expect(removed).to.have.members([
      ...['x-auth_subject', 'x_auth-subject', 'x_auth_subject'],
      ...['x-auth-username', 'x-auth_username', 'x_auth-username', 'x_auth_username'],
      ...['x-auth-client-id', 'x-auth-client_id', 'x-auth_client-id', 'x-auth_client_id'],
      ...['x_auth-client-id', 'x_auth-client_id', 'x_auth_client-id', 'x_auth_client_id'],
      ...['x-auth-scope', 'x-auth_scope', 'x_auth-scope', 'x_auth_scope'],
      'authorization',
    ])
  })

  it('removes the spellings of a name with underscores, and of a long one only those that are all alike', () => {
    const removedOf = (header: string) =>
      headersToRemove(new Set(), settingsOf({ upstreamHeaders: [], managedHeaders: [header] }), false)
    expect(removedOf('user_id')).to.have.members(['user_id', 'user-id', 'authorization'])
    expect(removedOf('a-b_c-d-e')).to.have.length(16 + 1)
    expect(removedOf('a-b-c-d-e-f')).to.have.members(['a-b-c-d-e-f', 'a_b_c_d_e_f', 'authorization'])
    expect(removedOf('a-b-c_d-e-f')).to.have.members(['a-b-c_d-e-f', 'a-b-c-d-e-f', 'a_b_c_d_e_f', 'authorization'])
  })

  it('keeps the credentials where the configuration says so, unless they are of another scheme', () => {
    const rules = settingsOf({ credentials: { header: 'x-token', remove: false } })
    expect(headersToRemove(new Set(), rules, false)).not.to.include('x-token')
    expect(headersToRemove(new Set(), rules, true)).to.include('x-token')
    // CGI and WSGI read it as the same one: nobody has looked at it.
    for (const drop of [false, true]) expect(headersToRemove(new Set(), rules, drop)).to.include('x_token')
  })

  it('never removes a name that is set, in whatever way it came to the list', () => {
    const rules = settingsOf({
      credentials: { header: 'authorization', remove: true },
      managedHeaders: ['x-a', 'x_a', 'user', 'authorization', ':path', 'host'],
      upstreamHeaders: [],
    })
    const names = new Set(['authorization', 'x_a', 'user'])
    expect(headersToRemove(names, rules, true)).to.deep.equal(['x-a'])
  })
})
