/** Product 2.1: which refusals are an `error_response`, an ALLOW where `failure_mode_allow` is on. */
import { Metadata, type ServerUnaryCall } from '@grpc/grpc-js'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import type { Decision } from '../../../src/authz/ports.ts'
import { systemClock } from '../../../src/clock.ts'
import { createReplyEncoder } from '../../../src/envoy/check-response.ts'
import { loadedAuthorization } from '../../../src/envoy/definition.ts'
import { createCheckHandler } from '../../../src/server/check-handler.ts'
import { ALLOWED, fakePipeline, serverParts } from '../../support/fake-pipeline.ts'
import { decodeReply, settingsOf } from '../envoy/samples.ts'

describe('a Check that ends badly, with extAuthz.unavailable = "error"', () => {
  const encoder = createReplyEncoder(settingsOf({ unavailable: 'error' }))

  interface Ended {
    /** Half of the reply, status code, HTTP status. */
    readonly said: string
    readonly logged: string
    readonly counted: string
  }

  async function end(
    decide: () => Decision | Promise<Decision>,
    { cancelled = false, deadline = Number.POSITIVE_INFINITY as Date | number, abandon = false } = {},
  ): Promise<Ended> {
    const pipeline = () =>
      fakePipeline(decide, { encode: (decision, id) => encoder.encode(decision, id), unavailable: 'error' })
    const parts = serverParts(pipeline)
    const handler = createCheckHandler({ ...parts, pipeline, clock: systemClock })
    const request = loadedAuthorization['Check']?.requestSerialize({ attributes: { request: { http: {} } } })
    const call: unknown = { request, metadata: new Metadata(), cancelled, getDeadline: () => deadline, on() {} }
    const replies: Buffer[] = []
    handler.handle(call as ServerUnaryCall<Buffer, Buffer>, (_, reply) => replies.push(reply as Buffer))
    if (abandon) handler.abandon()
    await new Promise(setImmediate)
    expect(replies).to.have.length(1)
    const reply = decodeReply(replies[0] ?? Buffer.alloc(0))
    const half = reply.error_response === undefined ? 'denied_response' : 'error_response'
    const { body } = await parts.metrics.exposition()
    const [counted = ''] = body.split('\n').filter((line) => /^microgw_checks_total.* 1$/.test(line))
    return {
      said: `${half} ${reply.status?.code} ${reply[half]?.status.code}`,
      logged: parts.lines.filter((line) => line.includes('"event":"decision"')).join(''),
      counted,
    }
  }
  const never = new Promise<Decision>(() => undefined)

  it('is a denied_response where the authorizer fails: an exception is no outage', async () => {
    const ways: readonly (() => Decision | Promise<Decision>)[] = [
      () => {
        throw new Error('boom')
      },
      () => Promise.reject(new Error('boom')),
    ]
    for (const decide of ways) {
      const ended = await end(decide)
      expect(ended.said).to.equal('denied_response 13 InternalServerError')
      expect(ended.counted).to.equal('microgw_checks_total{decision="deny",reason="internal_error"} 1')
    }
  })

  it('is an error_response where the answer came too late, or the sidecar stops', async () => {
    const late = await end(() => ALLOWED, { deadline: new Date(systemClock.wallMs() - 1_000) })
    const stopped = await end(() => never, { abandon: true })
    for (const ended of [late, stopped]) {
      expect(ended.said).to.equal('error_response 14 ServiceUnavailable')
      expect(ended.counted).to.equal('microgw_checks_total{decision="error",reason="key_manager_unavailable"} 1')
    }
    expect(late.logged).to.include('after the deadline')
    expect(stopped.logged).to.include('the sidecar stops')
  })

  it('is a denied_response where its caller left', async () => {
    const ended = await end(() => ALLOWED, { cancelled: true })
    expect(ended.said).to.equal('denied_response 14 ServiceUnavailable')
    expect(ended.counted).to.equal('microgw_checks_total{decision="deny",reason="key_manager_unavailable"} 1')
    expect(ended.logged).to.include('cancelled by the caller')
  })
})
