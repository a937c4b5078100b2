import { expect } from 'chai'
import { describe, it } from 'mocha'
import { createSharedClaims, type SharedClaims } from '../../../src/cache/shared-claims.ts'

const base: SharedClaims = {
  clientId: 'shop',
  iss: 'https://idp.example.com',
  audience: ['api'],
  scopes: ['a', 'b'],
  tokenType: 'Bearer',
  isAccessToken: true,
  isBound: false,
}

describe('shared claims', () => {
  it('are one frozen object for equal claims, and nobody else’s', () => {
    const share = createSharedClaims()
    const given = { ...base, audience: ['api'], scopes: ['a', 'b'] }
    const first = share(given)
    expect(share({ ...base, scopes: ['a', 'b'] })).to.equal(first)
    given.scopes.push('admin')
    expect(first.scopes).to.deep.equal(['a', 'b'])
    expect([first, first.audience, first.scopes].every(Object.isFrozen)).to.equal(true)
  })

  it('tell apart all that reads alike', () => {
    const share = createSharedClaims()
    const others: readonly Partial<SharedClaims>[] = [
      {},
      { clientId: undefined },
      { clientId: 'null' },
      { clientId: '' },
      { clientId: base.iss, iss: base.clientId },
      { iss: undefined },
      { audience: [] },
      { audience: ['a', 'b'], scopes: ['api'] },
      { scopes: ['a b'] },
      { scopes: ['a","b'] },
      { scopes: ['b', 'a'] },
      { scopes: ['a', 'b', ''] },
      { scopes: ['\ud800'] },
      { scopes: ['\ud801'] },
      { tokenType: undefined },
      { isAccessToken: false },
      { isBound: true },
    ]
    const shared = others.map((other) => share({ ...base, ...other }))
    expect(new Set(shared).size).to.equal(others.length)
    for (const [index, other] of others.entries()) expect(shared[index]).to.deep.equal({ ...base, ...other })
  })

  it('are right beyond the bounds too, where they are only not shared', () => {
    const share = createSharedClaims()
    const first = share(base)
    for (let i = 0; i < 1024; i++) expect(share({ ...base, clientId: `c${i}` })).to.have.property('clientId', `c${i}`)
    expect(share(base)).to.not.equal(first)
    expect(share(base)).to.deep.equal(base)
  })

  it('are shared where they are long, by clients in turn, up to a million characters', () => {
    const share = createSharedClaims()
    const long = (clientId: string): SharedClaims => ({ ...base, clientId, scopes: ['x'.repeat(60_000)] })
    const [one, two] = [share(long('one')), share(long('two'))]
    expect(one).to.deep.equal(long('one'))
    expect(share(long('one'))).to.equal(one)
    expect(share(long('two'))).to.equal(two)
    for (let i = 0; i < 17; i++) expect(share(long(`c${i}`))).to.have.property('clientId', `c${i}`)
    expect(share(long('one')), 'begun anew').to.not.equal(one)
  })
})
