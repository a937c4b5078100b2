/**
 * A bare grpc-js server that answers every Check with a constant: the least that any server on grpc-js costs.
 * Arguments: `own` (bytes in, bytes out: our codec) or `loader` (proto-loader's), and the reply in base64; with `own` the
 * URL of `/introspect` may follow: then the answer waits for a call of the bare HTTP client, the least that a miss costs.
 */
import { Server, ServerCredentials, type sendUnaryData, type UntypedServiceImplementation } from '@grpc/grpc-js'
import { authorizationService, loadedAuthorization } from '../../src/envoy/definition.ts'
import { announce } from './announce.ts'
import { createBareClient } from './bare-call.ts'

const [codec = 'own', encoded = '', introspectUrl] = process.argv.slice(2)
const reply = Buffer.from(encoded, 'base64')

// The product's own options, so that the difference is the product.
const server = new Server({
  'grpc.enable_channelz': 0,
  'grpc.max_concurrent_streams': 1024,
  'grpc.max_receive_message_length': 16 * 1024 * 1024,
})

function implementation(constant: unknown): UntypedServiceImplementation {
  if (introspectUrl === undefined) {
    return { Check: (_call: unknown, callback: sendUnaryData<unknown>) => callback(null, constant) }
  }
  const client = createBareClient(introspectUrl)
  let tokens = 0
  return {
    Check(_call: unknown, callback: sendUnaryData<unknown>) {
      tokens += 1
      client.call(tokens).then(
        () => callback(null, constant),
        (error: Error) => callback(error),
      )
    },
  }
}

if (codec === 'own') {
  server.addService({ ...authorizationService }, implementation(reply))
} else {
  const constant = loadedAuthorization['Check']?.responseDeserialize(reply)
  server.addService(loadedAuthorization, implementation(constant))
}
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error
  announce(port)
})
