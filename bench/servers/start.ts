/** Starts the servers of a bench, each a process of its own. */
import { fileURLToPath } from 'node:url'
import { LOAD_CORE, SERVER_CORE } from '../machine/cores.ts'
import { type Running, startProcess } from '../machine/process.ts'
import { readPort } from './announce.ts'

import type { NodeSettings } from './node-settings.ts'

export type FloorKind = 'grpc-js, our codec' | 'grpc-js, loader codec' | 'node:http2'

export interface Floor {
  readonly pid: number
  readonly port: number
  stop(): Promise<void>
}

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

const FLOORS: Readonly<Record<FloorKind, readonly string[]>> = {
  'grpc-js, our codec': [script('grpc-floor.ts'), 'own'],
  'grpc-js, loader codec': [script('grpc-floor.ts'), 'loader'],
  'node:http2': [script('http2-floor.ts')],
}

export interface FloorOptions {
  /** Default: Node's own. */
  readonly node?: NodeSettings
  /** Default: the server's. */
  readonly core?: number | 'any'
  /** Answers after one call there; our codec only. */
  readonly introspectUrl?: string
}

/** A server that answers every Check with `reply`. */
export async function startFloor(kind: FloorKind, reply: Buffer, options: FloorOptions = {}): Promise<Floor> {
  const { node = { flags: [], env: {} }, core = SERVER_CORE, introspectUrl } = options
  const asking = introspectUrl === undefined ? [] : [introspectUrl]
  const command = [process.execPath, ...node.flags, ...FLOORS[kind], reply.toString('base64'), ...asking]
  const { pid, ready: port, stop } = await startProcess({ command, core, env: node.env, ready: readPort })
  return { pid, port, stop }
}

export interface BareClientProcess {
  /** Calls, 64 under way, and their CPU time each, microseconds. */
  micros(calls: number): Promise<number>
  stop(): Promise<void>
}

/** The HTTP client under an introspection, in a process that lives as long as the sidecar it is compared with. */
export async function startBareClient(introspectUrl: string, node: NodeSettings): Promise<BareClientProcess> {
  const command = [process.execPath, ...node.flags, script('bare-client.ts'), introspectUrl]
  const { ready: port, stop } = await startProcess({ command, core: SERVER_CORE, env: node.env, ready: readPort })
  return {
    async micros(calls) {
      const read: unknown = await (await fetch(`http://127.0.0.1:${port}/${calls}`)).json()
      return Number(read)
    },
    stop,
  }
}

export interface BenchKeyManager {
  readonly pid: number
  readonly port: number
  readonly url: string
  /** Introspections and connections so far. */
  figures(): Promise<{ readonly introspections: number; readonly connections: number }>
  stop(): Promise<void>
}

/** On the load's core. */
export async function startKeyManager(delayMs = 0): Promise<BenchKeyManager> {
  const command = [process.execPath, script('key-manager.ts'), String(delayMs)]
  const running: Running<number> = await startProcess({ command, core: LOAD_CORE, ready: readPort })
  const base = `http://127.0.0.1:${running.ready}`
  return {
    pid: running.pid,
    port: running.ready,
    url: `${base}/oauth2/introspect`,
    async figures() {
      const read: unknown = await (await fetch(`${base}/figures`, { headers: { connection: 'close' } })).json()
      const { introspections, connections } = Object(read)
      return { introspections: Number(introspections), connections: Number(connections) }
    },
    stop: running.stop,
  }
}
