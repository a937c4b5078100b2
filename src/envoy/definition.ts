/** The gRPC service definitions. The server's have codecs of our own; the loader's are for clients, and the oracle in tests. */
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js'
import { readHealthReply, readHealthRequest, writeHealthReply, writeHealthRequest } from './health-message.ts'

const AUTHORIZATION = 'envoy.service.auth.v3.Authorization'
const HEALTH = 'grpc.health.v1.Health'

/** The Check method with bytes in and bytes out: `check-request.ts` and `check-response.ts` are the codec. */
export type AuthorizationService = { readonly Check: MethodDefinition<Buffer, Buffer> }

/**
 * What the server registers for ext_authz. Its codecs hand the bytes through and cannot throw: an exception in a
 * deserializer would become gRPC status 13, which Envoy turns into an ALLOW under `failure_mode_allow` (P01, E03).
 */
export const authorizationService: AuthorizationService = {
  Check: {
    path: `/${AUTHORIZATION}/Check`,
    originalName: 'check',
    requestStream: false,
    responseStream: false,
    requestSerialize: (bytes) => bytes,
    requestDeserialize: (bytes) => bytes,
    responseSerialize: (bytes) => bytes,
    responseDeserialize: (bytes) => bytes,
  },
}

const healthCodec = {
  requestStream: false,
  requestSerialize: writeHealthRequest,
  requestDeserialize: readHealthRequest,
  responseSerialize: writeHealthReply,
  responseDeserialize: readHealthReply,
}

/** What the server registers for health, and what a probe calls. */
export const healthService: ServiceDefinition = {
  Check: { ...healthCodec, path: `/${HEALTH}/Check`, originalName: 'check', responseStream: false },
  Watch: { ...healthCodec, path: `/${HEALTH}/Watch`, originalName: 'watch', responseStream: true },
}

/** The Authorization service with the loader's codecs (snake_case members, longs and enums as text). */
export const loadedAuthorization: ServiceDefinition = {
  get Check() {
    return loadedMethod('envoy/service/auth/v3/external_auth.proto', AUTHORIZATION, 'Check')
  },
}

/** The Health service with the loader's codecs. */
export const loadedHealth: ServiceDefinition = {
  get Check() {
    return loadedMethod('grpc/health/v1/health.proto', HEALTH, 'Check')
  },
  get Watch() {
    return loadedMethod('grpc/health/v1/health.proto', HEALTH, 'Watch')
  },
}

/** The package root holds both `src/` and `dist/`, so that the same step up finds `proto/` from either. */
const protoDirectory = fileURLToPath(new URL('../../proto/', import.meta.url))
const loadedServices = new Map<string, ServiceDefinition>()

/** Read when first asked for: the loader takes 60 ms, a fifth of a sidecar's start, and the server never needs it. */
function loadedMethod(file: string, serviceName: string, methodName: string): ServiceDefinition[string] {
  let service = loadedServices.get(serviceName)
  if (service === undefined) {
    service = loadService(file, serviceName)
    loadedServices.set(serviceName, service)
  }
  const method = service[methodName]
  if (method === undefined) throw new Error(`proto/ does not define ${serviceName}/${methodName}`)
  return method
}

function loadService(file: string, name: string): ServiceDefinition {
  const { loadSync }: typeof import('@grpc/proto-loader') = createRequire(import.meta.url)('@grpc/proto-loader')
  const loaded = loadSync(file, {
    includeDirs: [protoDirectory],
    keepCase: true,
    longs: String,
    enums: String,
    defaults: false,
    oneofs: false,
  })
  const definition = loaded[name]
  if (definition === undefined || 'format' in definition) throw new Error(`proto/ does not define the service ${name}`)
  return definition
}
