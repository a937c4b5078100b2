/** F33, at the transport itself: what throws while an answer is sent or logged. The rest is in test/faults/F33.test.ts. */
import { Metadata, type ServerUnaryCall } from '@grpc/grpc-js'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import type { Decision } from '../../../src/authz/ports.ts'
import { systemClock } from '../../../src/clock.ts'
import { loadedAuthorization } from '../../../src/envoy/definition.ts'
import { createCheckHandler } from '../../../src/server/check-handler.ts'
import { ALLOWED, denied, fakePipeline, serverParts } from '../../support/fake-pipeline.ts'

describe('a Check handler', () => {
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => void unhandled.push(reason)
  beforeEach(() => {
    unhandled.length = 0
    process.on('unhandledRejection', note)
  })
  afterEach(() => process.off('unhandledRejection', note))

  const call = (bodyBytes = 0): ServerUnaryCall<Buffer, Buffer> => {
    const request = loadedAuthorization['Check']?.requestSerialize({
      attributes: { request: { http: { method: 'GET', raw_body: Buffer.alloc(bodyBytes) } } },
    })
    const made: unknown = {
      request,
      metadata: new Metadata(),
      cancelled: false,
      getDeadline: () => Number.POSITIVE_INFINITY,
      on() {},
    }
    return made as ServerUnaryCall<Buffer, Buffer>
  }
  const statusOf = (reply: Buffer): number => {
    const read: unknown = loadedAuthorization['Check']?.responseDeserialize(reply)
    return Number(Object(Object(read).status).code)
  }
  const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

  const waits: Readonly<Record<string, () => Decision | Promise<Decision>>> = {
    'at once': () => ALLOWED,
    'after a wait': async () => ALLOWED,
    'after a wait that ends badly': async () => {
      throw new Error('boom')
    },
  }
  for (const [when, decide] of Object.entries(waits)) {
    it(`lets nothing out where sending throws ${when}`, async () => {
      const parts = serverParts(() => fakePipeline(decide))
      const handler = createCheckHandler({ ...parts, pipeline: () => fakePipeline(decide), clock: systemClock })
      let sent = 0
      handler.handle(call(), () => {
        sent += 1
        throw new Error('the stream is gone')
      })
      await nextTurn()
      expect(sent).to.equal(2)
      const failed = parts.lines.filter((line) => line.includes('check_failed'))
      expect(failed.length).to.be.at.least(2)
      expect([unhandled, handler.inFlight()]).to.deep.equal([[], 0])
    })

    it(`answers ${when} where the log throws`, async () => {
      const parts = serverParts(() => fakePipeline(decide))
      const boom = (): never => {
        throw new Error('boom')
      }
      const log = { debug: boom, info: boom, warn: boom, error: boom }
      const pipeline = () => fakePipeline(decide, { encode: boom })
      const handler = createCheckHandler({ ...parts, log, pipeline, clock: systemClock })
      const replies: Buffer[] = []
      handler.handle(call(), (_, reply) => replies.push(reply as Buffer))
      await nextTurn()
      expect(replies.map(statusOf)).to.deep.equal([13])
      expect([unhandled, handler.inFlight()]).to.deep.equal([[], 0])
    })
  }

  it('F21 refuses what would wait beyond 32 MiB of requests, and no more once those are answered', async () => {
    const { promise, resolve } = Promise.withResolvers<Decision>()
    const parts = serverParts(() => fakePipeline(() => promise))
    let left = 0
    const pipeline = () =>
      fakePipeline((_, __, cancellation) => {
        cancellation.whenCancelled = () => {
          left += 1
        }
        return promise
      })
    const handler = createCheckHandler({ ...parts, pipeline, clock: systemClock })
    const replies: Buffer[] = []
    const ask = (): void => handler.handle(call(1024 * 1024), (_, reply) => replies.push(reply as Buffer))
    for (let asked = 0; asked < 40; asked += 1) ask()
    await nextTurn()
    expect(replies.map(statusOf)).to.deep.equal(Array(9).fill(8))
    expect([left, handler.inFlight()]).to.deep.equal([9, 31])
    resolve(ALLOWED)
    await nextTurn()
    expect(replies.slice(9).map(statusOf)).to.deep.equal(Array(31).fill(0))
    for (let asked = 0; asked < 31; asked += 1) ask()
    expect(replies).to.have.length(40)
    await nextTurn()
    expect(replies.slice(40).map(statusOf)).to.deep.equal(Array(31).fill(0))
    expect([unhandled, handler.inFlight()]).to.deep.equal([[], 0])
  })

  it('F21 says what is known without the token first, full or not', async () => {
    const parts = serverParts(() => fakePipeline(() => ALLOWED))
    const pipeline = () =>
      fakePipeline(
        (_, __, cancellation) =>
          new Promise((resolve) => {
            cancellation.whenCancelled = () => resolve(denied('no_matching_rule'))
          }),
      )
    const handler = createCheckHandler({ ...parts, pipeline, clock: systemClock })
    const replies: Buffer[] = []
    for (let asked = 0; asked < 33; asked += 1)
      handler.handle(call(1024 * 1024), (_, reply) => replies.push(reply as Buffer))
    await nextTurn()
    expect(replies.map(statusOf)).to.deep.equal([7, 7])
    handler.abandon()
  })

  it('answers once, whatever is settled twice', async () => {
    const { promise, resolve } = Promise.withResolvers<Decision>()
    const parts = serverParts(() => fakePipeline(() => promise))
    const handler = createCheckHandler({ ...parts, pipeline: () => fakePipeline(() => promise), clock: systemClock })
    const replies: Buffer[] = []
    handler.handle(call(), (_, reply) => replies.push(reply as Buffer))
    expect(handler.inFlight()).to.equal(1)
    handler.abandon()
    resolve(denied('inactive_token'))
    await nextTurn()
    expect(replies.map(statusOf)).to.deep.equal([14])
    expect(handler.inFlight()).to.equal(0)
  })
})
