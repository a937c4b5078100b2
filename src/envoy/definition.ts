/** The gRPC service definitions, read from the proto files that come with the package. */
import { fileURLToPath } from 'node:url'
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

/** The package root holds both `src/` and `dist/`, so that the same step up finds `proto/` from either. */
const protoDirectory = fileURLToPath(new URL('../../proto/', import.meta.url))

const loaded = loadSync(['envoy/service/auth/v3/external_auth.proto', 'grpc/health/v1/health.proto'], {
  includeDirs: [protoDirectory],
  keepCase: true,
  longs: String,
  enums: String,
  defaults: false,
  oneofs: false,
})

/** `envoy.service.auth.v3.Authorization` with the loader's codecs (snake_case members, longs and enums as text): for clients, and the oracle in tests. */
export const loadedAuthorization = service('envoy.service.auth.v3.Authorization')

/** `grpc.health.v1.Health` with the loader's codecs. */
export const loadedHealth = service('grpc.health.v1.Health')

/** What the server registers for health: the loader's codecs are fast enough there. */
export const healthService = loadedHealth

/** The Check method with bytes in and bytes out: `check-request.ts` and `check-response.ts` are the codec. */
export type AuthorizationService = { readonly Check: MethodDefinition<Buffer, Buffer> }

/**
 * What the server registers for ext_authz. Its codecs hand the bytes through and cannot throw: an exception in a
 * deserializer would become gRPC status 13, which Envoy turns into an ALLOW under `failure_mode_allow` (P01, E03).
 */
export const authorizationService: AuthorizationService = {
  Check: {
    path: '/envoy.service.auth.v3.Authorization/Check',
    originalName: 'check',
    requestStream: false,
    responseStream: false,
    requestSerialize: (bytes) => bytes,
    requestDeserialize: (bytes) => bytes,
    responseSerialize: (bytes) => bytes,
    responseDeserialize: (bytes) => bytes,
  },
}

function service(name: string): ServiceDefinition {
  const definition = loaded[name]
  if (definition === undefined || 'format' in definition) throw new Error(`proto/ does not define the service ${name}`)
  return definition
}
