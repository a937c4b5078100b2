import { ChannelCredentials, Client, type ClientReadableStream } from '@grpc/grpc-js'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { healthService } from '../../../src/envoy/definition.ts'
import { ALLOWED, fakePipeline, serverParts } from '../../support/fake-pipeline.ts'

type Reply = { status?: string }

describe('the gRPC health service', () => {
  let parts: ReturnType<typeof serverParts>
  let client: Client

  beforeEach(async () => {
    parts = serverParts(() => fakePipeline(() => ALLOWED))
    const listen = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const
    const address = await parts.server.bind(listen, { socketMode: 0o660, tls: undefined })
    client = new Client(address, ChannelCredentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 })
  })

  afterEach(async () => {
    client.close()
    await parts.server.stop()
  })

  const method = (name: string) => {
    const found = healthService[name]
    if (found === undefined) throw new Error(`no method ${name}`)
    return found
  }

  const ask = (service: string): Promise<string | number> =>
    new Promise((resolve) => {
      const { path, requestSerialize, responseDeserialize } = method('Check')
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, { service }, (error, reply: unknown) => {
        resolve(error === null ? ((reply as Reply).status ?? 'UNKNOWN') : error.code)
      })
    })

  const watch = (service: string): ClientReadableStream<Reply> => {
    const { path, requestSerialize, responseDeserialize } = method('Watch')
    const deserialize = (bytes: Buffer): Reply => responseDeserialize(bytes) as Reply
    const stream = client.makeServerStreamRequest(path, requestSerialize, deserialize, { service })
    stream.on('error', () => {})
    return stream
  }

  const next = (stream: ClientReadableStream<Reply>): Promise<string | undefined> =>
    new Promise((resolve) => stream.once('data', (reply: Reply) => resolve(reply.status)))

  it('E16 answers for "" and for the ext_authz service', async () => {
    expect(await ask('')).to.equal('SERVING')
    expect(await ask('envoy.service.auth.v3.Authorization')).to.equal('SERVING')
    parts.health.setServing(false)
    expect(await ask('')).to.equal('NOT_SERVING')
  })

  it('E16 answers NOT_FOUND for another service', async () => {
    expect(await ask('other')).to.equal(5)
  })

  it('E16 tells watchers of every change', async () => {
    const stream = watch('')
    expect(await next(stream)).to.equal('SERVING')
    parts.health.setServing(false)
    expect(await next(stream)).to.equal('NOT_SERVING')
    stream.cancel()
  })

  it('tells a watcher that it does not know the service', async () => {
    const stream = watch('other')
    expect(await next(stream)).to.equal('SERVICE_UNKNOWN')
    stream.cancel()
  })

  it('F26 ends watches when draining, so that they hold nothing up', async () => {
    const stream = watch('')
    await next(stream)
    const ended = new Promise((resolve) => stream.once('end', resolve))
    await parts.server.drain(5000)
    await ended
  })

  it('F26 ends a watch on an unknown service too', async () => {
    const stream = watch('other')
    await next(stream)
    const ended = new Promise((resolve) => stream.once('end', resolve))
    await parts.server.drain(5000)
    await ended
  })
})
