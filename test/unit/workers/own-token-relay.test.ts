import { expect } from 'chai'
import { describe, it } from 'mocha'
import type { Held, OwnToken, Taken } from '../../../src/keymanager/own-token.ts'
import type { ToWorker } from '../../../src/workers/messages.ts'
import { createOwnTokenRelay } from '../../../src/workers/own-token-relay.ts'
import { createFakeClock } from '../../support/clock.ts'

describe('the own token on its way to the workers', () => {
  function relay() {
    const clock = createFakeClock()
    const told: ToWorker[] = []
    const refused: Held[] = []
    let current: Held = { value: 'own-1', expiresAtMs: clock.monotonicMs() + 60_000 }
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
    const own = createOwnTokenRelay(clock, (message) => told.push(message))
    const { source, changed } = own.announceSource()
    own.use(source, token)
    const renew = (value: string): void => {
      current = { value, expiresAtMs: clock.monotonicMs() + 60_000 }
      changed(current)
    }
    return { clock, told, refused, own, source, changed, renew }
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

  it('never answers one configuration with the token of another', async () => {
    const { own, source, renew } = relay()
    renew('own-2')
    expect(await own.answer(source + 1, undefined)).to.include({ kind: 'unavailable' })
  })
})
