import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

describe('F04 a kept-alive connection closed under the request', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('is retried once on a fresh connection', async () => {
    pair = await startPair()
    pair.keyManager.tokens.set('one', { active: true, exp: inSeconds(300) })
    expect((await pair.ask('Bearer one')).allowed).to.equal(true)
    const before = pair.keyManager.requests.length
    pair.keyManager.answer((_, { socket, index }) => {
      if (index === before) {
        socket.destroy()
        return undefined
      }
      return { body: { active: true, exp: inSeconds(300) } }
    })
    expect((await pair.ask('Bearer two')).allowed).to.equal(true)
    expect(pair.keyManager.requests.length - before).to.equal(FIGURES.F04.callsAMiss)
  })

  it('is not retried twice', async () => {
    pair = await startPair()
    pair.keyManager.answer((_, { socket }) => {
      socket.destroy()
      return undefined
    })
    expect((await pair.ask('Bearer never')).reason).to.equal('key_manager_unavailable')
    expect(pair.keyManager.requests.length).to.be.at.most(FIGURES.F04.callsAMiss)
  })

  it('is retried once where the answer breaks off in its middle', async () => {
    pair = await startPair()
    pair.keyManager.answer((_, { response, socket, index }) => {
      if (index > 0) return { body: { active: true, exp: inSeconds(300) } }
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' })
      response.write('{"active":', () => socket.resetAndDestroy())
      return undefined
    })
    expect((await pair.ask('Bearer half')).allowed).to.equal(true)
    expect(pair.keyManager.requests).to.have.length(FIGURES.F04.callsAMiss)
  })
})
