import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { decodeReply, httpCheck } from '../support/check-client.ts'
import { inSeconds, type Pair, seenIn, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

describe('F34 malformed frames, 5 MiB messages, many streams reset', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('holds its limits and lives', async () => {
    pair = await startPair()
    pair.keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
    const big = await pair.client.raw(Buffer.alloc(FIGURES.F34.messageBytes, 0xff))
    expect(seenIn(decodeReply(big)).reason).to.equal('malformed_request')
    const request = httpCheck({ method: 'GET', path: '/', host: 'h', headers: { authorization: 'Bearer t' } })
    for (let round = 0; round < FIGURES.F34.streams / 500; round++) {
      const calls = Array.from({ length: 500 }, () => pair.client.start(request))
      const ends = calls.map(({ reply }) => reply.catch(() => undefined))
      for (const { call } of calls) call.cancel()
      await Promise.all(ends)
    }
    expect((await pair.ask('Bearer t')).allowed).to.equal(true)
  }).timeout(60_000)
})
