import { expect } from 'chai'
import { describe, it } from 'mocha'
import type { Cancellation, CheckView, Claims } from '../../../src/authz/ports.ts'
import { claims, createDomain, view } from '../../support/authz.ts'

type Domain = ReturnType<typeof createDomain>
const reasonFor = async (domain: Domain, check: CheckView): Promise<string> => (await domain.authorize(check)).reason

const withClaims = (domain: Domain, more: Partial<Claims>): Domain => {
  domain.answer(() => ({ kind: 'active', claims: claims(more) }))
  return domain
}

describe('lives and flights', () => {
  it('C31 C32 never serves past min(configured life, exp), whichever clock says so', async () => {
    const domain = createDomain()
    const exp = Math.floor(domain.clock.wallMs() / 1000) + 30
    withClaims(domain, { expSec: exp })
    expect(await domain.authorize(view())).to.include({ maxAgeSeconds: 30 })
    domain.clock.setWall((exp + 1) * 1000)
    expect(await reasonFor(domain, view())).to.equal('allowed')
    expect(domain.asked, 'the skew forgives a fresh answer only').to.have.length(2)
    expect(await reasonFor(domain, view())).to.equal('allowed')
    expect(domain.asked, 'accepted through the skew: not remembered').to.have.length(3)
    domain.clock.setWall((exp + 6) * 1000)
    expect(await reasonFor(domain, view())).to.equal('expired_token')
  })

  it('a hit never extends a life', async () => {
    const domain = createDomain()
    await domain.authorize(view())
    for (let i = 0; i < 6; i++) {
      domain.clock.advance(9999)
      await domain.authorize(view())
    }
    expect(domain.asked).to.have.length(1)
    domain.clock.advance(10)
    await domain.authorize(view())
    expect(domain.asked).to.have.length(2)
  })

  it('remembers nothing with a life of 0, and an inactive answer for its own time', async () => {
    const off = createDomain({ life: { activeLifeMs: 0, inactiveLifeMs: 0 } })
    await off.authorize(view())
    await off.authorize(view())
    expect(off.asked).to.have.length(2)
    const domain = createDomain()
    domain.answer(() => ({ kind: 'inactive' }))
    await domain.authorize(view())
    domain.clock.advance(9999)
    expect(await domain.authorize(view())).to.include({ reason: 'inactive_token', cache: 'hit' })
    domain.clock.advance(2)
    expect(await domain.authorize(view())).to.include({ cache: 'miss' })
  })

  it('a flood of bad tokens cannot evict a good one', async () => {
    const domain = createDomain()
    await domain.authorize(view())
    domain.answer(() => ({ kind: 'inactive' }))
    for (let i = 0; i < 500; i++) await domain.authorize(view({ credentials: `Bearer bad${i}` }))
    expect(domain.memory.inactive.size()).to.equal(10)
    expect(domain.authorize(view())).to.include({ cache: 'hit', reason: 'allowed' })
  })

  it('C35 F23 joins one flight, and a cancelled waiter takes nobody with it', async () => {
    const domain = createDomain()
    const { promise, resolve } = Promise.withResolvers<void>()
    domain.answer(async () => {
      await promise
      return { kind: 'active', claims: claims() }
    })
    const cancellation: Cancellation = { cancelled: false, whenCancelled: undefined }
    const first = domain.authorize(view(), { cancellation })
    const second = domain.authorize(view())
    cancellation.cancelled = true
    cancellation.whenCancelled?.()
    expect(await first).to.include({ reason: 'key_manager_unavailable' })
    resolve()
    expect(await second).to.include({ reason: 'allowed' })
    expect(domain.asked).to.have.length(1)
    expect(domain.joined()).to.equal(1)
    expect(domain.clock.pending(), 'no timer is left').to.equal(0)
  })

  it('P10 answers by the deadline; the late answer is remembered for the retry', async () => {
    const domain = createDomain()
    const { promise, resolve } = Promise.withResolvers<void>()
    domain.answer(async () => {
      await promise
      return { kind: 'active', claims: claims() }
    })
    const waiting = domain.authorize(view(), { deadlineMs: domain.clock.monotonicMs() + 180 })
    domain.clock.advance(180)
    expect(await waiting).to.include({ reason: 'key_manager_unavailable', retryAfterSeconds: 1 })
    resolve()
    await new Promise((landed) => setImmediate(landed))
    expect(domain.authorize(view())).to.include({ reason: 'allowed', cache: 'hit' })
  })
})
