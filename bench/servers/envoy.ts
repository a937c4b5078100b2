/** A real Envoy that answers every request itself (no upstream is measured), with the ext_authz filter or without. */
import { findEnvoy, freePort, startEnvoy } from '../../scripts/envoy.ts'
import type { LoadTarget } from '../load/connection.ts'

const API = 'type.googleapis.com/envoy.extensions.filters'
const ANSWER = 'passed'

export interface BenchEnvoy {
  readonly target: LoadTarget
  stop(): Promise<void>
}

/** On the core of this process. `sidecarPort`: undefined for no filter. Undefined where there is no Envoy. */
export async function startBenchEnvoy(sidecarPort: number | undefined): Promise<BenchEnvoy | undefined> {
  const binary = findEnvoy()
  if (binary === undefined) return undefined
  const port = await freePort()
  const envoy = await startEnvoy({ binary, config: configuration(port, sidecarPort) })
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

function configuration(port: number, sidecarPort: number | undefined): object {
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
    http_filters: sidecarPort === undefined ? [router] : [EXT_AUTHZ, router],
  }
  const filters = [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }]
  const listener = { name: 'bench', address: address(port), filter_chains: [{ filters }] }
  const clusters = sidecarPort === undefined ? [] : [sidecarCluster(sidecarPort)]
  return { static_resources: { listeners: [listener], clusters } }
}

const EXT_AUTHZ = {
  name: 'envoy.filters.http.ext_authz',
  typed_config: {
    '@type': `${API}.http.ext_authz.v3.ExtAuthz`,
    transport_api_version: 'V3',
    grpc_service: { envoy_grpc: { cluster_name: 'authz' }, timeout: '1s' },
    validate_mutations: true,
  },
}

const address = (port: number): object => ({ socket_address: { address: '127.0.0.1', port_value: port } })

function sidecarCluster(port: number): object {
  return {
    name: 'authz',
    type: 'STATIC',
    connect_timeout: '1s',
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    load_assignment: {
      cluster_name: 'authz',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
    },
  }
}
