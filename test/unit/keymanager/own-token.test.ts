import { expect } from 'chai'
import { describe, it } from 'mocha'
import type { Grants } from '../../../src/keymanager/grants.ts'
import { createOwnToken, type Held, type OwnToken, type Taken } from '../../../src/keymanager/own-token.ts'
import type { GrantResult } from '../../../src/keymanager/token-answer.ts'
import { createFakeClock } from '../../support/clock.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const uncounted = { ownTokenRenewal() {}, ownTokenExpiresAt() {} }

/** Grants answered by hand, in the order they were asked. */
function start() {
  const asked: ((result: GrantResult) => void)[] = []
  const ask = (): Promise<GrantResult> => new Promise((resolve) => void asked.push(resolve))
  const grants: Grants = { first: { name: 'client_credentials', ask }, refresh: undefined }
  const clock = createFakeClock()
  const own = createOwnToken({
    clock,
    log: silent,
    metrics: uncounted,
    grants,
    directToken: undefined,
    refreshToken: undefined,
    scope: '',
    saved: undefined,
    random: () => 0,
  })
  const grant = async (accessToken: string): Promise<void> => {
    await settle()
    asked.at(-1)?.({ kind: 'granted', accessToken, lifeMs: 100_000, refreshToken: undefined, scope: undefined })
    await settle()
  }
  /** Other secrets: what is asked by them is answered in another list. */
  const reload = () => {
    const askedAnew: typeof asked = []
    const ask = (): Promise<GrantResult> => new Promise((resolve) => void askedAnew.push(resolve))
    own.use({ first: { name: 'client_credentials', ask }, refresh: undefined }, undefined)
    return askedAnew
  }
  return { own, clock, asked, grant, reload }
}

const refuse = (asked: readonly ((result: GrantResult) => void)[], retryAfterMs = 0): void =>
  asked.at(-1)?.(
    retryAfterMs > 0
      ? { kind: 'refused', outcome: 'throttled', error: undefined, retryAfterMs, detail: '' }
      : { kind: 'refused', outcome: 'rejected', error: 'invalid_client', retryAfterMs, detail: '' },
  )
const settle = (): Promise<void> => new Promise(setImmediate)
const held = (taken: Taken): Held => (taken.kind === 'token' ? taken.token : expect.fail('there is a token'))
const take = async (own: OwnToken): Promise<Held> => held(await own.take())

describe('the own token', () => {
  it('P22 a call refused with a token already replaced only repeats with the new one', async () => {
    const { own, asked, grant } = start()
    await grant('one')
    const one = await take(own)
    const first = own.refused(one)
    await grant('two')
    expect(held(await first).value).to.equal('two')
    // This one was on the wire all the while, and comes back late.
    expect(held(await own.refused(one)).value).to.equal('two')
    expect(await take(own)).to.include({ value: 'two' })
    expect(asked).to.have.length(2)
  })

  it('P22 a call refused while a renewal runs waits for it; the old token is not given out again', async () => {
    const { own, clock, asked, grant } = start()
    await grant('one')
    const one = await take(own)
    clock.advance(80_000)
    await settle()
    expect(own.status().state).to.equal('renewing')
    expect(await take(own)).to.equal(one)
    const repeated = own.refused(one)
    const waiting = own.take()
    expect(waiting).to.be.instanceOf(Promise)
    await grant('two')
    expect(held(await repeated).value).to.equal('two')
    expect(held(await waiting).value).to.equal('two')
    expect(asked).to.have.length(2)
  })

  it('P20 P21 asks once however many wait', async () => {
    const { own, asked, grant } = start()
    const waiting = Array.from({ length: 100 }, () => own.take())
    await settle()
    expect(asked).to.have.length(1)
    await grant('one')
    for (const one of await Promise.all(waiting)) expect(held(one).value).to.equal('one')
    expect(asked).to.have.length(1)
  })

  it('P21 backs off 1, 2, 4 ... 30 s, and asks nobody in between', async () => {
    const { clock, asked } = start()
    for (const seconds of [1, 2, 4, 8, 16, 30, 30]) {
      await settle()
      const before = asked.length
      asked.at(-1)?.({ kind: 'refused', outcome: 'network', error: undefined, retryAfterMs: 0, detail: '' })
      await settle()
      clock.advance(seconds * 1_000 - 1)
      await settle()
      expect(asked).to.have.length(before)
      clock.advance(1)
      await settle()
      expect(asked).to.have.length(before + 1)
    }
  })

  it('P26 a refresh token that a reload finds saved outlives a request by the one before', async () => {
    const clock = createFakeClock()
    const sent: string[] = []
    const answers: ((result: GrantResult) => void)[] = []
    const refresh = (token: string): Promise<GrantResult> => {
      sent.push(token)
      return new Promise((resolve) => void answers.push(resolve))
    }
    const granted = { kind: 'granted', lifeMs: 100_000, refreshToken: undefined, scope: undefined } as const
    const ask = async (): Promise<GrantResult> => ({ ...granted, accessToken: 'by password' })
    const grants = { first: { name: 'password', ask }, refresh } as const
    const own = createOwnToken({
      clock,
      log: silent,
      metrics: uncounted,
      grants,
      directToken: undefined,
      refreshToken: 'configured',
      scope: '',
      saved: undefined,
      random: () => 0,
    })
    await settle()
    own.use(grants, { file: 'state.json', read: () => 'saved', write: async () => undefined })
    answers[0]?.({ kind: 'refused', outcome: 'rejected', error: 'invalid_grant', retryAfterMs: 0, detail: '' })
    await settle()
    expect(await take(own)).to.include({ value: 'by password' })
    clock.advance(80_000)
    await settle()
    expect(sent).to.deep.equal(['configured', 'saved'])
    own.close()
  })

  it('P26 what a reload replaced still saves what its renewal brought, marked as such', async () => {
    const clock = createFakeClock()
    const written: [string, boolean | undefined][] = []
    const { promise: answered, resolve: answer } = Promise.withResolvers<GrantResult>()
    const own = createOwnToken({
      clock,
      log: silent,
      metrics: uncounted,
      grants: { first: undefined, refresh: () => answered },
      directToken: undefined,
      refreshToken: 'configured',
      scope: '',
      saved: {
        file: 'state.json',
        read: () => undefined,
        write: async (token, isReplaced) => void written.push([token, isReplaced]),
      },
      random: () => 0,
    })
    await settle()
    const waiting = take(own)
    own.close()
    answer({ kind: 'granted', accessToken: 'late', lifeMs: 100_000, refreshToken: 'rotated', scope: undefined })
    expect(await waiting, 'calls under way are served').to.include({ value: 'late' })
    expect(written).to.deep.equal([['rotated', true]])
  })

  it('P21 P22 a refused token is renewed no sooner than a failed attempt and a 429 let it, and at once where that was cured', async () => {
    for (const [retryAfterMs, waitMs] of [
      [0, 5_000],
      [8_000, 8_000],
    ] as const) {
      const { own, clock, asked, grant } = start()
      await grant('one')
      clock.advance(80_000)
      await settle()
      refuse(asked, retryAfterMs)
      await settle()
      const one = await take(own)
      expect(await own.refused(one)).to.include({ kind: 'unavailable', pausedForMs: waitMs })
      clock.advance(waitMs - 1)
      await settle()
      expect(asked).to.have.length(2)
      clock.advance(1)
      await grant('two')
      const two = await take(own)
      expect(two.value).to.equal('two')
      clock.advance(30_000)
      void own.refused(two)
      await settle()
      expect(asked, 'the last attempt did not fail').to.have.length(4)
      own.close()
    }
  })

  it('P21 serves until its expiry and no longer, whatever became of its renewal', async () => {
    const { own, clock, asked, grant } = start()
    await grant('one')
    clock.advance(80_000)
    await settle()
    refuse(asked)
    await settle()
    clock.advance(19_999)
    expect(await take(own)).to.include({ value: 'one' })
    expect(own.status().expiresAt).to.be.a('string')
    clock.advance(1)
    expect(await own.take()).to.include({ kind: 'unavailable' })
    expect(own.status()).to.deep.include({ state: 'failed', expiresAt: undefined })
    own.close()
  })

  it('P26 begins with the refresh token of an earlier life, not with the configured access token', async () => {
    const sent: string[] = []
    const refresh = async (token: string): Promise<GrantResult> => {
      sent.push(token)
      return { kind: 'granted', accessToken: 'fresh', lifeMs: 100_000, refreshToken: undefined, scope: undefined }
    }
    const own = createOwnToken({
      clock: createFakeClock(),
      log: silent,
      metrics: uncounted,
      grants: { first: undefined, refresh },
      directToken: 'configured',
      refreshToken: 'configured refresh',
      scope: '',
      saved: { file: 'state.json', read: () => 'saved', write: async () => undefined },
      random: () => 0,
    })
    expect(await take(own)).to.include({ value: 'fresh' })
    expect(sent).to.deep.equal(['saved'])
    own.close()
  })

  it('P21 a reload asks for none before the end of a 429 where none serves', async () => {
    const { clock, asked, reload, own } = start()
    await settle()
    refuse(asked, 10_000)
    await settle()
    const askedAnew = reload()
    clock.advance(9_999)
    await settle()
    expect(askedAnew).to.have.length(0)
    expect(own.status()).to.include({ state: 'failed', nextAttemptInMs: 1 })
    clock.advance(1)
    await settle()
    expect(askedAnew).to.have.length(1)
    own.close()
  })

  it('P21 a reload tries at once where the renewal of a token that still serves has failed', async () => {
    const { own, clock, asked, grant, reload } = start()
    await grant('one')
    clock.advance(80_000)
    await settle()
    refuse(asked)
    await settle()
    clock.advance(6_000)
    expect(own.status()).to.include({ state: 'fresh', nextAttemptInMs: 24_000 })
    const askedAnew = reload()
    clock.advance(0)
    await settle()
    expect(askedAnew).to.have.length(1)
    askedAnew[0]?.({ kind: 'granted', accessToken: 'two', lifeMs: 100_000, refreshToken: undefined, scope: undefined })
    await settle()
    expect(await take(own)).to.include({ value: 'two' })
    expect(asked).to.have.length(2)
  })

  it('P21 a reload right after a failed renewal tries 5 s after it, and not before the end of a 429', async () => {
    for (const retryAfterMs of [0, 8_000]) {
      const { own, clock, asked, grant, reload } = start()
      await grant('one')
      clock.advance(80_000)
      await settle()
      refuse(asked, retryAfterMs)
      await settle()
      const askedAnew = reload()
      const waitMs = Math.max(retryAfterMs, 5_000)
      expect(own.status()).to.include({ state: 'fresh', nextAttemptInMs: waitMs })
      clock.advance(waitMs - 1)
      await settle()
      expect(askedAnew).to.have.length(0)
      clock.advance(1)
      await settle()
      expect(askedAnew).to.have.length(1)
    }
  })

  it('P21 a reload leaves a token that is well its renewal time', async () => {
    const { own, clock, asked, grant, reload } = start()
    await grant('one')
    const askedAnew = reload()
    expect(own.status()).to.include({ state: 'fresh', nextAttemptInMs: 80_000 })
    clock.advance(79_999)
    await settle()
    expect([...asked, ...askedAnew]).to.have.length(1)
  })

  it('P21 a refusal of the old secrets after a reload is followed by a prompt attempt with the new ones', async () => {
    const { own, clock, asked, reload } = start()
    await settle()
    const first = reload()
    refuse(asked)
    await settle()
    clock.advance(0)
    await settle()
    expect(first, 'nothing serves: at once').to.have.length(1)
    first[0]?.({ kind: 'granted', accessToken: 'one', lifeMs: 100_000, refreshToken: undefined, scope: undefined })
    await settle()
    clock.advance(80_000)
    await settle()
    expect(own.status().state).to.equal('renewing')
    const second = reload()
    refuse(first)
    await settle()
    expect(own.status()).to.include({ state: 'fresh', nextAttemptInMs: 5_000 })
    clock.advance(5_000)
    await settle()
    expect(second, 'one serves: 5 s later').to.have.length(1)
    // These are not the old ones any more: from here on it backs off.
    refuse(second)
    await settle()
    expect(own.status().nextAttemptInMs).to.equal(30_000)
  })

  it('sends nothing after it was closed', async () => {
    const { own, clock, asked, grant } = start()
    await grant('one')
    const last = await take(own)
    own.close()
    clock.advance(80_000)
    await settle()
    expect(asked).to.have.length(1)
    expect(clock.pending()).to.equal(0)
    expect((await own.refused(last)).kind).to.equal('unavailable')
    expect(asked).to.have.length(1)
  })
})
