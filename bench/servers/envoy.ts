/** A real Envoy that answers every request itself (no upstream is measured), with the ext_authz filter or without. */
import { findEnvoy, freePort, startEnvoy } from '../../scripts/envoy.ts'
import type { LoadTarget } from '../load/connection.ts'

const API = 'type.googleapis.com/envoy.extensions.filters'
const ANSWER = 'passed'

export interface BenchEnvoy {
  readonly target: LoadTarget
  stop(): Promise<void>
}

/** How the cluster of the sidecar is reached, where that is what is measured. */
export interface SidecarCluster {
  /** One endpoint each. */
  readonly ports: readonly number[]
  /** Of one connection to it; undefined: as many as the sidecar allows. */
  readonly maxConcurrentStreams?: number
  /** Then Envoy opens another one, and lets this one end. */
  readonly maxConnectionDuration?: string
  readonly policy?: 'ROUND_ROBIN' | 'LEAST_REQUEST'
}

/** On the core of this process. `sidecar`: undefined for no filter. Undefined where there is no Envoy. */
export async function startBenchEnvoy(
  sidecar: number | SidecarCluster | undefined,
  concurrency = 1,
): Promise<BenchEnvoy | undefined> {
  const binary = findEnvoy()
  if (binary === undefined) return undefined
  const port = await freePort()
  const cluster = typeof sidecar === 'number' ? { ports: [sidecar] } : sidecar
  const envoy = await startEnvoy({ binary, config: configuration(port, cluster), concurrency })
  const target = {
    port,
    method: 'GET',
    path: '/orders/7f3a91?expand=items',
    authority: 'api.example.com',
    headers: { accept: 'application/json', 'user-agent': 'bench', 'x-request-id': '5b1f7c1e-5d3a-4a51-9c39' },
    expect: Buffer.from(ANSWER),
    expectAt: 0,
  } as const
  return { target, stop: envoy.stop }
}

function configuration(port: number, sidecar: SidecarCluster | undefined): object {
  const router = { name: 'router', typed_config: { '@type': `${API}.http.router.v3.Router` } }
  const route = {
    match: { prefix: '/' },
    direct_response: { status: 200, body: { inline_string: ANSWER } },
  }
  const manager = {
    '@type': `${API}.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'bench',
    http2_protocol_options: { max_concurrent_streams: 1024 },
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [route] }] },
    http_filters: sidecar === undefined ? [router] : [EXT_AUTHZ, router],
  }
  const filters = [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }]
  // Few connections of a load generator would else not reach every thread; a real one's many do.
  const connection_balance_config = { exact_balance: {} }
  const listener = { name: 'bench', address: address(port), connection_balance_config, filter_chains: [{ filters }] }
  const clusters = sidecar === undefined ? [] : [sidecarCluster(sidecar)]
  return { static_resources: { listeners: [listener], clusters } }
}

/** As in deploy/envoy/tcp.yaml, the circuit breakers below too. */
const EXT_AUTHZ = {
  name: 'envoy.filters.http.ext_authz',
  typed_config: {
    '@type': `${API}.http.ext_authz.v3.ExtAuthz`,
    transport_api_version: 'V3',
    grpc_service: {
      envoy_grpc: { cluster_name: 'authz' },
      timeout: '1s',
      retry_policy: { retry_on: 'connect-failure,refused-stream,unavailable,reset', num_retries: 1 },
    },
    validate_mutations: true,
  },
}

const address = (port: number): object => ({ socket_address: { address: '127.0.0.1', port_value: port } })

function sidecarCluster(sidecar: SidecarCluster): object {
  const { ports, maxConcurrentStreams, maxConnectionDuration, policy = 'ROUND_ROBIN' } = sidecar
  const streams = maxConcurrentStreams === undefined ? {} : { max_concurrent_streams: maxConcurrentStreams }
  const common =
    maxConnectionDuration === undefined
      ? {}
      : { common_http_protocol_options: { max_connection_duration: maxConnectionDuration } }
  return {
    name: 'authz',
    type: 'STATIC',
    connect_timeout: '1s',
    circuit_breakers: { thresholds: [{ max_requests: 10_000, max_pending_requests: 10_000, max_retries: 1000 }] },
    lb_policy: policy,
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http2_protocol_options: streams },
        ...common,
      },
    },
    load_assignment: {
      cluster_name: 'authz',
      endpoints: [{ lb_endpoints: ports.map((port) => ({ endpoint: { address: address(port) } })) }],
    },
  }
}
