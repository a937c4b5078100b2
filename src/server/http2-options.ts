/**
 * Options of Node's HTTP/2 and TLS servers that grpc-js 1.14 has no names for: it hands an object of its own to
 * `http2.createServer`, which is written to. Where there is none Node's defaults stay, which is the safe side for the process.
 */
import type { Server } from '@grpc/grpc-js'

/**
 * How many streams the other side of a connection may reset. It is Envoy, which has one connection for each of its threads
 * and resets a Check when its client goes away or its timeout has passed. By default nghttp2 ends a connection after 1,000
 * resets and 33 a second more (CVE-2023-44487), with GOAWAY and whatever else is under way on it: a client that opens
 * requests and leaves, or one stall of the key manager, would turn the Checks of others into gRPC errors - which are an
 * ALLOW where Envoy's `failure_mode_allow` is on. No connection sends as many in a second: a reset costs about what a Check does.
 */
const RESETS = 1_000_000
/** A connection that does not begin holds a descriptor that Envoy or the key manager may need; Node's default is 120 s. */
const HANDSHAKE_MS = 10_000

/** For connections to come; all of Node 24. False: there is nothing to write to. */
export function setHttp2Options(server: Server): boolean {
  const options: unknown = Reflect.get(server, 'commonServerOptions')
  if (typeof options !== 'object' || options === null) return false
  Object.assign(options, {
    streamResetBurst: RESETS,
    streamResetRate: RESETS,
    // A stream refused above max_concurrent_streams counts towards a limit of 100 in the same way, and as an invalid frame
    // towards one of 1,000.
    maxSessionRejectedStreams: RESETS,
    maxSessionInvalidFrames: RESETS,
    handshakeTimeout: HANDSHAKE_MS,
  })
  return true
}
