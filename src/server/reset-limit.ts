/**
 * How many streams the other side of a connection may reset. It is Envoy, which has one connection for each of its threads
 * and resets a Check when its client goes away or its timeout has passed. By default nghttp2 ends a connection after 1,000
 * resets and 33 a second more (CVE-2023-44487), with GOAWAY and whatever else is under way on it: a client that opens
 * requests and leaves, or one stall of the key manager, would turn the Checks of others into gRPC errors - which are an
 * ALLOW where Envoy's `failure_mode_allow` is on.
 */
import type { Server } from '@grpc/grpc-js'

/** No connection sends as many in a second: a reset costs about what a Check does. */
const RESETS = 1_000_000

/**
 * For connections to come. grpc-js 1.14 has no option for it and hands this object of its own to `http2.createServer`;
 * where it has none the default stays, which is the safe side for the process.
 * Returns false then. All four: Node 24, `http2`.
 */
export function liftResetLimit(server: Server): boolean {
  const options: unknown = Reflect.get(server, 'commonServerOptions')
  if (typeof options !== 'object' || options === null) return false
  // A stream refused above max_concurrent_streams counts towards a limit of 100 in the same way, and as an invalid frame
  // towards one of 1,000.
  Object.assign(options, {
    streamResetBurst: RESETS,
    streamResetRate: RESETS,
    maxSessionRejectedStreams: RESETS,
    maxSessionInvalidFrames: RESETS,
  })
  return true
}
