import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'

describe('F03 connections dropped, then back', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('recovers as soon as the breaker lets a probe through', async () => {
    pair = await startPair({ flags: { 'keyManager.timeout': '200ms', 'keyManager.breaker.openFor': '10ms' } })
    pair.keyManager.answer((_, { socket }) => {
      socket.destroy()
      return undefined
    })
    for (let i = 0; i < 8; i++) expect((await pair.ask(`Bearer gone${i}`)).reason).to.equal('key_manager_unavailable')
    pair.keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
    let back = await pair.ask('Bearer back')
    for (let i = 0; i < 200 && !back.allowed; i++) back = await pair.ask('Bearer back')
    expect(back.allowed).to.equal(true)
  })
})
