import { Server } from '@grpc/grpc-js'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { authorizationService, healthService, loadedAuthorization } from '../../../src/envoy/definition.ts'

describe('envoy/definition', () => {
  it('E03 hands the bytes of a Check through, whatever they are', () => {
    const garbage = Buffer.from([0xff, 0xff, 0xff])
    expect(authorizationService.Check.requestDeserialize(garbage)).to.equal(garbage)
    expect(authorizationService.Check.responseSerialize(garbage)).to.equal(garbage)
  })

  it('names the method that the proto files name', () => {
    const { Check: loaded } = loadedAuthorization
    expect(authorizationService.Check.path).to.equal(loaded?.path)
    expect(authorizationService.Check).to.include({ requestStream: false, responseStream: false })
  })

  it('registers at a gRPC server', () => {
    const server = new Server()
    server.addService(authorizationService, { Check: () => undefined })
    server.addService(healthService, { Check: () => undefined, Watch: () => undefined })
    server.forceShutdown()
  })
})
