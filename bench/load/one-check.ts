/** One Check by a real gRPC client: what a server answers, before any load. */
import { ChannelCredentials, Client } from '@grpc/grpc-js'
import { authorizationService } from '../../src/envoy/definition.ts'

/** The reply's bytes; rejects where the call fails. */
export function sendOneCheck(port: number, message: Buffer): Promise<Buffer> {
  const client = new Client(`127.0.0.1:${port}`, ChannelCredentials.createInsecure())
  const { path, requestSerialize, responseDeserialize } = authorizationService.Check
  return new Promise<Buffer>((resolve, reject) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, message, (error, reply) => {
      client.close()
      if (error !== null) reject(error)
      else resolve(reply ?? Buffer.alloc(0))
    })
  })
}
