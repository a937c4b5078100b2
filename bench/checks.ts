/** The Check every bench sends: a GET as a browser's API client makes it, the way Envoy passes it on (about 1 KB). */
import { createHash } from 'node:crypto'
import { loadedAuthorization } from '../src/envoy/definition.ts'
import type { LoadRequest, LoadTarget } from './load/connection.ts'
import { grpcMessage } from './load/frames.ts'

const CHECK_PATH = '/envoy.service.auth.v3.Authorization/Check'

/** `status{code: 0}`, with which the message of an allow begins. */
export const ALLOWED = Buffer.from([0x0a, 0x02, 0x08, 0x00])

/** 43 characters, as many as 32 random bytes have in base64url; the same for the same number. */
export const tokenOf = (index: number): string => createHash('sha256').update(`token ${index}`).digest('base64url')

/** The CheckRequest's bytes. */
export function encodeCheck(token: string): Buffer {
  const method = loadedAuthorization['Check']
  if (method === undefined) throw new Error('no Check method')
  const address = (ip: string, port: number) => ({ address: { socket_address: { address: ip, port_value: port } } })
  return method.requestSerialize({
    attributes: {
      source: address('10.244.1.17', 41_734),
      destination: address('10.244.2.9', 8443),
      request: {
        time: { seconds: '1790000000', nanos: 123_000_000 },
        http: {
          id: '12883471020375923741',
          method: 'GET',
          path: '/orders/7f3a91?expand=items',
          host: 'api.example.com',
          scheme: 'https',
          protocol: 'HTTP/2',
          headers: {
            ':authority': 'api.example.com',
            ':method': 'GET',
            ':path': '/orders/7f3a91?expand=items',
            ':scheme': 'https',
            accept: 'application/json',
            'accept-encoding': 'gzip, deflate, br',
            'accept-language': 'en-GB,en;q=0.9',
            authorization: `Bearer ${token}`,
            'cache-control': 'no-cache',
            'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0',
            'x-envoy-external-address': '203.0.113.9',
            'x-forwarded-for': '203.0.113.9',
            'x-forwarded-proto': 'https',
            'x-request-id': '5b1f7c1e-5d3a-4a51-9c39-2f6d1f0a8c55',
          },
        },
      },
      context_extensions: { scopes: 'orders:read' },
    },
  })
}

/** Where Checks go. `deadlineMs`: as Envoy sends its timeout; undefined: none. */
export function checkTarget(port: number, deadlineMs?: number): LoadTarget {
  const deadline = deadlineMs === undefined ? {} : { 'grpc-timeout': `${deadlineMs}m` }
  return {
    port,
    method: 'POST',
    path: CHECK_PATH,
    authority: `127.0.0.1:${port}`,
    headers: { 'content-type': 'application/grpc', te: 'trailers', ...deadline },
    expect: ALLOWED,
    expectAt: 5,
  }
}

/** The gRPC message; made by copying one and writing the token in its place, so that a million cost a second. */
export const checkRequest = (token: string): LoadRequest => {
  if (token.length !== SAMPLE_TOKEN.length) return { body: grpcMessage(encodeCheck(token)) }
  const body = Buffer.from(sample)
  body.write(token, tokenAt, 'latin1')
  return { body }
}

/** Requests for `count` tokens, made beforehand; `from` chooses which. */
export const checkRequests = (count: number, from = 0): readonly LoadRequest[] =>
  Array.from({ length: count }, (_, index) => checkRequest(tokenOf(from + index)))

const SAMPLE_TOKEN = tokenOf(0)
const sample = grpcMessage(encodeCheck(SAMPLE_TOKEN))
const tokenAt = sample.indexOf(SAMPLE_TOKEN)
