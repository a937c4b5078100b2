/** One Check by a real gRPC client: what a server answers, before any load. */
import { ChannelCredentials, Client } from '@grpc/grpc-js'
import { authorizationService } from '../../src/envoy/definition.ts'
import { ALLOWED } from '../checks.ts'

/** The reply's bytes; rejects where the call fails, or the Check is denied. */
export function sendOneCheck(port: number, message: Buffer): Promise<Buffer> {
  const client = new Client(`127.0.0.1:${port}`, ChannelCredentials.createInsecure())
  const { path, requestSerialize, responseDeserialize } = authorizationService.Check
  return new Promise<Buffer>((resolve, reject) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, message, (error, reply) => {
      client.close()
      if (error !== null) reject(error)
      else if (reply?.subarray(0, ALLOWED.length).equals(ALLOWED)) resolve(reply)
      else reject(new Error('the reply was not an allow'))
    })
  })
}
