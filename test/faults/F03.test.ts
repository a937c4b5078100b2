import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

describe('F03 connections accepted and left without a word, or dropped, then back', () => {
  const { openForMs, timeoutMs, connections } = FIGURES.F03
  let pair: Pair
  afterEach(() => pair.close())

  for (const [name, drops] of [
    ['silent', false],
    ['dropped', true],
  ] as const) {
    it(`serves again within openFor and timeout of its return: ${name}`, async () => {
      pair = await startPair({
        flags: {
          'keyManager.timeout': `${timeoutMs}ms`,
          'keyManager.breaker.openFor': `${openForMs}ms`,
          // As many as fit: one connection kept that will never answer would be missing from then on.
          'keyManager.maxInFlight': String(connections),
        },
      })
      pair.keyManager.answer((_, { socket }) => {
        if (drops) socket.destroy()
        return undefined
      })
      const gone = await Promise.all(Array.from({ length: connections }, (_, i) => pair.ask(`Bearer gone${i}`)))
      expect(gone.every((one) => one.reason === 'key_manager_unavailable')).to.equal(true)
      expect(await pair.metric('microgw_breaker_state{state="open"}')).to.equal(1)

      pair.keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
      const returnedAt = performance.now()
      let back = await pair.ask('Bearer back')
      while (!back.allowed && performance.now() - returnedAt < openForMs + timeoutMs) {
        back = await pair.ask('Bearer back')
      }
      expect(back.allowed).to.equal(true)
      expect(await pair.metric('microgw_breaker_state{state="closed"}')).to.equal(1)
    })
  }
})
