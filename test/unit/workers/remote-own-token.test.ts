import { expect } from 'chai'
import { describe, it } from 'mocha'
import type { Untaken } from '../../../src/keymanager/own-token.ts'
import type { PassedToken } from '../../../src/workers/messages.ts'
import { createRemoteOwnToken, type RemoteOwnToken } from '../../../src/workers/remote-own-token.ts'
import { createFakeClock } from '../../support/clock.ts'

const token = (serial: number, lifeMs = 60_000): PassedToken => ({
  kind: 'token',
  serial,
  value: `own-${serial}`,
  lifeMs,
})

describe('the own token in a worker', () => {
  function remote(first: PassedToken | undefined) {
    const clock = createFakeClock()
    const asked: (number | undefined)[] = []
    const answers: ((answer: PassedToken | Untaken) => void)[] = []
    const own = createRemoteOwnToken({
      clock,
      token: first,
      ask: (refused) => {
        asked.push(refused)
        return new Promise((resolve) => answers.push(resolve))
      },
    })
    return { clock, own, asked, answers }
  }
  const held = async (own: RemoteOwnToken) => {
    const taken = await own.take()
    if (taken.kind !== 'token') throw new Error(taken.detail)
    return taken.token
  }

  it('sends what it was handed, at once and without a question', async () => {
    const { own, asked } = remote(token(1))
    expect(own.take()).not.to.be.instanceOf(Promise)
    expect((await held(own)).value).to.equal('own-1')
    own.hand(token(2))
    expect((await held(own)).value).to.equal('own-2')
    expect(asked).to.deep.equal([])
  })

  it('asks once however many need one, and not again for what is already known', async () => {
    const { own, asked, answers, clock } = remote(undefined)
    const waiting = [own.take(), own.take(), own.take()]
    expect(asked).to.deep.equal([undefined])
    answers[0]?.({ kind: 'unavailable', pausedForMs: 30_000, retryAfterMs: 7_000, detail: 'no own token: refused' })
    for (const one of waiting) expect(await one).to.include({ kind: 'unavailable', retryAfterMs: 7_000 })
    // What clients are told is what the primary said, less the time since.
    clock.advance(600)
    expect(own.take()).to.include({ kind: 'unavailable', retryAfterMs: 6_400 })
    expect(asked).to.have.length(1)
    // But not believed for long: what is new is handed over, and could be missed.
    clock.advance(401)
    expect(own.take()).to.be.instanceOf(Promise)
    expect(asked).to.have.length(2)
    own.hand(token(1))
    expect((await held(own)).value).to.equal('own-1')
  })

  it('P22 reports a refused token once, by its serial, and never sends it again', async () => {
    const { own, asked, answers } = remote(token(7))
    const sent = await held(own)
    const repeats = [own.refused(sent), own.refused(sent)]
    await Promise.resolve()
    expect(asked).to.deep.equal([7])
    answers[0]?.(token(8))
    for (const one of repeats) expect(await one).to.have.nested.property('token.value', 'own-8')
    // The old one, reported late: it was replaced.
    expect(await own.refused(sent)).to.have.nested.property('token.value', 'own-8')
    expect(asked).to.have.length(1)
  })

  it('drops what was refused elsewhere', () => {
    const { own, asked } = remote(token(1))
    own.hand(undefined)
    expect(own.take()).to.be.instanceOf(Promise)
    expect(asked).to.deep.equal([undefined])
  })

  it('does not send one that has expired', () => {
    const { own, clock } = remote(token(1, 1_000))
    clock.advance(999)
    expect(own.take()).to.include({ kind: 'token' })
    clock.advance(1)
    expect(own.take()).to.be.instanceOf(Promise)
  })

  it('waits six seconds at most for a primary that says nothing', async () => {
    const { own, clock } = remote(undefined)
    const taken = own.take()
    clock.advance(6_000)
    expect(await taken).to.include({ kind: 'unavailable', detail: 'no own token: the primary process does not answer' })
  })
})
