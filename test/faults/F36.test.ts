import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { decodeReply, encodeCheck, httpCheck } from '../support/check-client.ts'
import { type Pair, seenIn, startPair } from '../support/pair.ts'

describe('F36 bytes that are not a CheckRequest', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('are denied at every length of a valid one, never a gRPC error, never an allow of a cut credential', async () => {
    pair = await startPair()
    pair.keyManager.answer({ body: { active: false } })
    const whole = encodeCheck(
      httpCheck({ method: 'GET', path: '/a', host: 'h', headers: { authorization: 'Bearer abc' } }),
    )
    const replies = await Promise.all(
      Array.from({ length: whole.length }, (_, length) => pair.client.raw(whole.subarray(0, length))),
    )
    const reasons = replies.map((reply) => seenIn(decodeReply(reply)))
    expect(reasons[0]?.reason).to.equal('not_http')
    expect(reasons.some((one) => one.allowed)).to.equal(false)
    expect(reasons.slice(1).every((one) => one.reason === 'malformed_request')).to.equal(true)
  })
})
