import { expect } from 'chai'
import { describe, it } from 'mocha'
import { untimely } from '../../../src/authz/introspection.ts'
import { claims, createDomain, view } from '../../support/authz.ts'

describe('the times of an answer', () => {
  const AT = 1_000_000

  it('C12 end with exp itself, and begin with nbf itself', () => {
    expect(untimely(claims({ expSec: AT }), AT * 1_000, 0)).to.equal('expired_token')
    expect(untimely(claims({ expSec: AT }), AT * 1_000 - 1, 0)).to.equal(undefined)
    expect(untimely(claims({ nbfSec: AT }), AT * 1_000, 0)).to.equal(undefined)
    expect(untimely(claims({ nbfSec: AT }), AT * 1_000 - 1, 0)).to.equal('premature_token')
    expect(untimely(claims({ nbfSec: AT - 60, expSec: AT + 60 }), AT * 1_000, 0)).to.equal(undefined)
  })

  it('accepted only through the skew are not remembered: each Check asks again', async () => {
    for (const more of [{ nbfSec: 3 }, { expSec: -3 }]) {
      const domain = createDomain()
      const nowSec = domain.clock.wallMs() / 1_000
      const times = Object.fromEntries(Object.entries(more).map(([name, seconds]) => [name, nowSec + seconds]))
      domain.answer(() => ({ kind: 'active', claims: claims(times) }))
      for (let asked = 1; asked <= 2; asked += 1) {
        expect(await domain.authorize(view())).to.include({ reason: 'allowed', cache: 'miss', maxAgeSeconds: 0 })
        expect(domain.asked).to.have.length(asked)
      }
      expect(domain.memory.active.size()).to.equal(0)
    }
  })
})
