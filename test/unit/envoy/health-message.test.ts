/** Our codec of grpc.health.v1 beside the loader's. */
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { healthService, loadedHealth } from '../../../src/envoy/definition.ts'
import { readHealthReply, readHealthRequest } from '../../../src/envoy/health-message.ts'

const names = ['Check', 'Watch'] as const

function pair(name: (typeof names)[number]) {
  const ours = healthService[name]
  const loaded = loadedHealth[name]
  if (ours === undefined || loaded === undefined) throw new Error(`no method ${name}`)
  return { ours, loaded }
}

describe('the messages of grpc.health.v1', () => {
  for (const name of names) {
    it(`E16 ${name} has the path and the streams that the proto file gives it`, () => {
      const { ours, loaded } = pair(name)
      const { path, requestStream, responseStream } = loaded
      expect(ours).to.include({ path, requestStream, responseStream })
    })

    it(`E16 ${name} writes what the loader reads and reads what the loader writes`, () => {
      const { ours, loaded } = pair(name)
      for (const request of [{}, { service: 'envoy.service.auth.v3.Authorization' }, { service: 'ä' }]) {
        expect(loaded.requestDeserialize(ours.requestSerialize(request))).to.deep.equal(request)
        expect(ours.requestDeserialize(loaded.requestSerialize(request))).to.deep.equal(request)
      }
      for (const status of ['SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN']) {
        expect(loaded.responseDeserialize(ours.responseSerialize({ status }))).to.deep.equal({ status })
        expect(ours.responseDeserialize(loaded.responseSerialize({ status }))).to.deep.equal({ status })
      }
      expect(ours.responseDeserialize(loaded.responseSerialize({}))).to.deep.equal({})
    })
  }

  it('skips fields it does not know and keeps the last of a repeated one', () => {
    const unknownThenTwice = Buffer.from([0x12, 0x01, 0x61, 0x0a, 0x01, 0x62, 0x0a, 0x01, 0x63])
    expect(readHealthRequest(unknownThenTwice)).to.deep.equal({ service: 'c' })
    expect(readHealthReply(Buffer.from([0x08, 0x09]))).to.deep.equal({})
  })

  it('throws for bytes that are no such message', () => {
    for (const bytes of [[0xff], [0x0a, 0x05, 0x61], [0x0a, 0x01, 0xff], [0x08, 0x01]]) {
      expect(() => readHealthRequest(Buffer.from(bytes))).to.throw('grpc.health.v1')
    }
    for (const bytes of [[0x08], [0x0a, 0x01, 0x61]]) {
      expect(() => readHealthReply(Buffer.from(bytes))).to.throw('grpc.health.v1')
    }
  })
})
