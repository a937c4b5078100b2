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
      for (const watcher of watchers) watcher.end()
      watchers.clear()
    },
    implementation: {
      Check(call, callback) {
        if (SERVICES.has(call.request.service ?? '')) callback(null, reply())
        else callback({ code: status.NOT_FOUND, details: 'unknown service' })
      },
      Watch(call) {
        // grpc.health.v1: an unknown service is told, and the watch stays open.
        if (!SERVICES.has(call.request.service ?? '')) {
          call.write({ status: 'SERVICE_UNKNOWN' })
        } else {
          call.write(reply())
          watchers.add(call)
        }
        const forget = () => {
          watchers.delete(call)
          call.end()
        }
        call.on('cancelled', forget)
        call.on('error', forget)
      },
    },
  }
}
