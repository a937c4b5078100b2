import { expect } from 'chai'
import { describe, it } from 'mocha'
import type { Clock } from '../../../src/authz/ports.ts'
import type { Held, OwnToken, Taken } from '../../../src/keymanager/own-token.ts'
import type { ToWorker } from '../../../src/workers/messages.ts'
import { createOwnTokenRelay, type OwnTokenRelay } from '../../../src/workers/own-token-relay.ts'
import { createFakeClock } from '../../support/clock.ts'

describe('the own token on its way to the workers', () => {
  function relay() {
    const clock = createFakeClock()
    const told: ToWorker[] = []
    const own = createOwnTokenRelay(clock, (message) => told.push(message))
    return { clock, told, own, ...sourceOf(own, clock, 'own-1') }
  }

  /** A grant, put in force. */
  function sourceOf(own: OwnTokenRelay, clock: Clock, value: string) {
    const refused: Held[] = []
    let current: Held = { value, expiresAtMs: clock.monotonicMs() + 60_000 }
    const take = (): Taken => ({ kind: 'token', token: current })
    const token: OwnToken = {
      take,
      async refused(sent) {
        refused.push(sent)
        return take()
      },
      obtained: Promise.resolve(),
      status: () => ({ state: 'fresh', expiresAt: undefined, nextAttemptInMs: undefined, lastError: undefined }),
      use: () => undefined,
      close: () => undefined,
    }
    const { source, changed } = own.announceSource()
    own.use(source, token)
    const renew = (next: string): void => {
      current = { value: next, expiresAtMs: clock.monotonicMs() + 60_000 }
      changed(current)
    }
    return { refused, source, changed, renew }
  }

  it('hands over what is held, with what is left of its life', async () => {
    const { clock, told, own, source, renew } = relay()
    renew('own-2')
    expect(told.at(-1)).to.deep.equal({
      kind: 'own_token',
      source,
      token: { kind: 'token', serial: 1, value: 'own-2', lifeMs: 60_000 },
    })
    clock.advance(10_000)
    expect(own.held(source)).to.deep.equal({ kind: 'token', serial: 1, value: 'own-2', lifeMs: 50_000 })
    expect(await own.answer(source, undefined)).to.deep.equal(own.held(source))
    clock.advance(50_000)
    expect(own.held(source)).to.equal(undefined)
  })

  it('reports the very token that was refused, and an unknown one not at all', async () => {
    const { own, source, renew, refused } = relay()
    renew('own-2')
    await own.answer(source, 1)
    expect(refused.map(({ value }) => value)).to.deep.equal(['own-2'])
    await own.answer(source, 99)
    expect(refused).to.have.length(1)
  })

  it('says that one was refused', () => {
    const { told, changed, own, source, renew } = relay()
    renew('own-2')
    changed(undefined)
    expect(told.at(-1)).to.deep.equal({ kind: 'own_token', source, token: undefined })
    expect(own.held(source)).to.equal(undefined)
  })

  it('answers from the grant before until all workers have swapped, and reports refusals to it', async () => {
    const { own, clock, source, renew, refused } = relay()
    renew('old')
    const next = sourceOf(own, clock, 'new')
    expect(await own.answer(source, undefined)).to.include({ kind: 'token', value: 'old' })
    expect(await own.answer(source, 1)).to.include({ kind: 'token', value: 'old' })
    expect(refused.map(({ value }) => value)).to.deep.equal(['old'])
    expect(await own.answer(next.source, undefined)).to.include({ kind: 'token', value: 'new' })
    own.swapped()
    expect(await own.answer(source, undefined)).to.include({ kind: 'unavailable' })
    expect(await own.answer(next.source, undefined)).to.include({ kind: 'token', value: 'new' })
    expect(next.refused).to.deep.equal([])
  })

  it('never answers one configuration with the token of another', async () => {
    const { own, source, renew } = relay()
    renew('own-2')
    expect(await own.answer(source + 1, undefined)).to.include({ kind: 'unavailable' })
  })
})
