/**
 * Bare `node:http2` that answers every Check with a constant gRPC message and trailers: what Node's HTTP/2 itself costs.
 * Argument: the reply in base64.
 */
import { createServer } from 'node:http2'
import { grpcMessage } from '../load/frames.ts'
import { announce } from './announce.ts'

const message = grpcMessage(Buffer.from(process.argv[2] ?? '', 'base64'))
const head = { ':status': 200, 'content-type': 'application/grpc+proto' }
const options = { waitForTrailers: true }
const trailers = { 'grpc-status': '0' }

const server = createServer({ settings: { maxConcurrentStreams: 1024 } })
server.on('stream', (stream) => {
  stream.on('data', () => undefined)
  stream.on('end', () => {
    stream.respond(head, options)
    stream.on('wantTrailers', () => stream.sendTrailers(trailers))
    stream.end(message)
  })
  stream.on('error', () => undefined)
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address !== 'string') announce(address.port)
})
