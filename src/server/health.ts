/** The gRPC health service (E16): answers for `""` and for the ext_authz service. */
import { type ServerUnaryCall, type ServerWritableStream, type sendUnaryData, status } from '@grpc/grpc-js'

const SERVICES: ReadonlySet<string> = new Set(['', 'envoy.service.auth.v3.Authorization'])

/** As the loader reads it: members that hold the default are absent. */
export interface HealthRequest {
  readonly service?: string
}
export interface HealthReply {
  readonly status: 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN'
}

export interface HealthService {
  /** Told to every watcher at once. */
  setServing(serving: boolean): void
  /** Ends the watches, which would else keep their connections from closing. */
  close(): void
  /** What `healthService` of `envoy/definition.ts` is served by. */
  readonly implementation: {
    Check(call: ServerUnaryCall<HealthRequest, HealthReply>, callback: sendUnaryData<HealthReply>): void
    Watch(call: ServerWritableStream<HealthRequest, HealthReply>): void
  }
}

/** Serving from the start: the server answers as soon as it is bound. */
export function createHealth(): HealthService {
  let serving = true
  const watchers = new Set<ServerWritableStream<HealthRequest, HealthReply>>()
  // Who watches a service that is not here never hears of a change.
  const strangers = new Set<ServerWritableStream<HealthRequest, HealthReply>>()

  function reply(): HealthReply {
    return { status: serving ? 'SERVING' : 'NOT_SERVING' }
  }

  return {
    setServing(now) {
      if (now === serving) return
      serving = now
      for (const watcher of watchers) watcher.write(reply())
    },
    close() {
      for (const watcher of [...watchers, ...strangers]) watcher.end()
      watchers.clear()
      strangers.clear()
    },
    implementation: {
      Check(call, callback) {
        if (SERVICES.has(call.request.service ?? '')) callback(null, reply())
        else callback({ code: status.NOT_FOUND, details: 'unknown service' })
      },
      Watch(call) {
        // grpc.health.v1: an unknown service is told, and the watch stays open.
        const known = SERVICES.has(call.request.service ?? '')
        const watching = known ? watchers : strangers
        call.write(known ? reply() : { status: 'SERVICE_UNKNOWN' })
        watching.add(call)
        const forget = () => {
          watching.delete(call)
          call.end()
        }
        call.on('cancelled', forget)
        call.on('error', forget)
      },
    },
  }
}
