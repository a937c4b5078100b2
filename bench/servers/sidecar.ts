/** The product itself: its command line, with a micro-gw.conf, in a process of its own on the server's core. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SERVER_CORE } from '../machine/cores.ts'
import { startProcess } from '../machine/process.ts'
import { type NodeSettings, sidecarSettings } from './node-settings.ts'

export interface Sidecar {
  readonly pid: number
  /** Of the first address. */
  readonly port: number
  readonly ports: readonly number[]
  readonly adminPort: number
  readonly localAdminPort: number
  /** Of one series of the exposition, such as `microgw_introspections_total{outcome="active"}`. */
  metric(series: string): Promise<number>
  stop(): Promise<void>
}

export interface SidecarOptions {
  /** `dist/cli.js` of a build, or `src/cli.ts`. */
  readonly cli: string
  readonly introspectUrl: string
  /** Default: `sidecarSettings()`. */
  readonly node?: NodeSettings
  /** More lines of TOML. */
  readonly toml?: string
  /** `KEY=VALUE`, stronger than the file. */
  readonly set?: readonly string[]
  /** Default: the server's core. */
  readonly core?: number | 'any'
}

export const configuration = (introspectUrl: string, more = ''): string => `
[keyManager]
external = true
introspectUrl = "${introspectUrl}"
startupProbe = false
[keymanager.security.basic]
enabled = true
username = "gateway"
password = "gateway-secret"
[extAuthz]
listen = "127.0.0.1:0"
drainDelay = "0s"
[admin]
listen = "127.0.0.1:0"
localListen = "127.0.0.1:0"
${more}
`

export async function startSidecar(options: SidecarOptions): Promise<Sidecar> {
  const dir = mkdtempSync(join(tmpdir(), 'micro-gw-bench-'))
  const file = join(dir, 'micro-gw.conf')
  writeFileSync(file, configuration(options.introspectUrl, options.toml))
  const node = options.node ?? sidecarSettings()
  const set = (options.set ?? []).flatMap((pair) => ['--set', pair])
  const running = await startProcess({
    command: [process.execPath, ...node.flags, options.cli, 'serve', '--config', file, ...set],
    core: options.core ?? SERVER_CORE,
    env: node.env,
    ready: readStarted,
  })
  const { adminPort } = running.ready
  return {
    pid: running.pid,
    ...running.ready,
    async metric(series) {
      const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()
      const line = text.split('\n').find((candidate) => candidate.startsWith(`${series} `))
      return line === undefined ? Number.NaN : Number(line.slice(series.length))
    },
    async stop() {
      await running.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

type Started = Pick<Sidecar, 'port' | 'ports' | 'adminPort' | 'localAdminPort'>

/** The log line `started` names the addresses. */
function readStarted(line: string): Started | undefined {
  const read: unknown = JSON.parse(line)
  const { event, extAuthz, admin, localAdmin } = Object(read)
  if (event !== 'started') return undefined
  const ports = String(extAuthz).split(',').map(portOf)
  return { port: ports[0] ?? 0, ports, adminPort: portOf(String(admin)), localAdminPort: portOf(String(localAdmin)) }
}

const portOf = (address: string): number => Number(address.slice(address.lastIndexOf(':') + 1))
