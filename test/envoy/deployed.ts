/** The files of `deploy/envoy/`, fitted to this machine (ports, hosts and paths, nothing else) and run. */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort, type RunningEnvoy, startEnvoyText, validateEnvoy } from '../../scripts/envoy.ts'
import { type Certificates, makeCertificates } from '../support/certificates.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'
import { rewrite } from '../support/rewrite.ts'
import { type Sidecar, startSidecar } from './sidecar.ts'
import { startUpstream, stopUpstream, type Upstream } from './traffic.ts'

const DIRECTORY = fileURLToPath(new URL('../../deploy/envoy/', import.meta.url))

/** Each bootstrap with the sidecar's configuration that belongs to it. */
export const PAIRS = {
  'tcp.yaml': 'micro-gw.tcp.conf',
  'unix-socket.yaml': 'micro-gw.unix-socket.conf',
  'mutual-tls.yaml': 'micro-gw.mutual-tls.conf',
  'rate-limit.yaml': 'micro-gw.tcp.conf',
} as const

export type EnvoyFile = keyof typeof PAIRS

/** Started by test/deploy/compose.test.ts with what it belongs to; here a real Envoy reads it as it is. */
export const COMPOSE_FILE = 'compose.yaml'

/** The name the certificates of mutual-tls.yaml are for. */
export const SERVER_NAME = 'authz.example.internal'

export const readDeployed = (name: string): string => readFileSync(join(DIRECTORY, name), 'utf8')

/** Where everything is in this run. */
export interface Places {
  readonly dir: string
  /** Envoy's listener. */
  readonly port: number
  readonly adminPort: number
  /** Of every sidecar; the second one has it on 127.0.0.2. */
  readonly sidecarPort: number
  readonly accessLog: string
  /** Envoy's side of it. */
  readonly certificates: Certificates | undefined
  /** The sidecar's, replaced by a test that rotates it. */
  readonly secretFile: string
}

/** A folder with a secret, free ports, and certificates where the file needs them. */
export async function makePlaces(file: EnvoyFile): Promise<Places> {
  const dir = mkdtempSync(join(tmpdir(), 'micro-gw-deployed-'))
  const secretFile = join(dir, 'gateway')
  writeFileSync(secretFile, 'gateway-secret\n')
  return {
    dir,
    port: await freePort(),
    adminPort: await freePort(),
    sidecarPort: await freePort(),
    accessLog: join(dir, 'access.log'),
    certificates: file === 'mutual-tls.yaml' ? makeCertificates({ serverNames: `DNS:${SERVER_NAME}` }) : undefined,
    secretFile,
  }
}

export function removePlaces(places: Places | undefined): void {
  places?.certificates?.remove()
  if (places !== undefined) rmSync(places.dir, { recursive: true, force: true })
}

/** The bootstrap with this run's addresses. */
export function envoyText(file: EnvoyFile, places: Places, upstreamPort: number): string {
  const { certificates } = places
  const sidecar: Record<string, string> =
    file === 'unix-socket.yaml' ? { '/run/micro-gw-authz': places.dir } : { '9001': String(places.sidecarPort) }
  return rewrite(readDeployed(file), {
    ...sidecar,
    '0.0.0.0': '127.0.0.1',
    '10000': String(places.port),
    '9901': String(places.adminPort),
    '8080': String(upstreamPort),
    '/dev/stdout': places.accessLog,
    ...(certificates === undefined
      ? {}
      : {
          'authz-1.example.internal': '127.0.0.1',
          'authz-2.example.internal': '127.0.0.2',
          '/etc/envoy/tls/tls.crt': certificates.clientCertFile,
          '/etc/envoy/tls/tls.key': certificates.clientKeyFile,
          '/etc/envoy/tls/ca.crt': certificates.caFile,
        }),
  })
}

/** The sidecar's file with this run's addresses; `host`: where a service of its own listens. */
export function sidecarText(file: EnvoyFile, places: Places, keyManagerPort: number, host = '127.0.0.1'): string {
  const { certificates } = places
  const listen: Record<string, string> =
    file === 'unix-socket.yaml'
      ? { '/run/micro-gw-authz': places.dir }
      : certificates === undefined
        ? { '127.0.0.1:9001': `127.0.0.1:${places.sidecarPort}` }
        : {
            '0.0.0.0:9001': `${host}:${places.sidecarPort}`,
            '/etc/micro-gw-authz/tls/tls.crt': certificates.serverCertFile,
            '/etc/micro-gw-authz/tls/tls.key': certificates.serverKeyFile,
            '/etc/micro-gw-authz/tls/ca.crt': certificates.caFile,
          }
  return rewrite(readDeployed(PAIRS[file]), {
    ...listen,
    'https://idp.example.com': `http://127.0.0.1:${keyManagerPort}`,
    '/run/secrets/gateway': places.secretFile,
  })
}

/** A folder as Kubernetes mounts a ConfigMap or Secret: names -> `..data` -> a folder that is exchanged as a whole. */
export interface Mount {
  /** The path a program is told. */
  path(name: string): string
  /** Puts other contents in place, all at one instant. */
  swap(files: Readonly<Record<string, string>>): void
}

export function mount(directory: string, files: Readonly<Record<string, string>>): Mount {
  let generation = 0
  const swap = (contents: Readonly<Record<string, string>>): void => {
    generation += 1
    const folder = `..${generation}`
    mkdirSync(join(directory, folder), { recursive: true })
    for (const [name, text] of Object.entries(contents)) writeFileSync(join(directory, folder, name), text)
    symlinkSync(folder, join(directory, '..data_tmp'))
    renameSync(join(directory, '..data_tmp'), join(directory, '..data'))
  }
  swap(files)
  for (const name of Object.keys(files)) symlinkSync(join('..data', name), join(directory, name))
  return { path: (name) => join(directory, name), swap }
}

/** One sidecar of a run; restarted on the same address and the same file. */
export interface Instance {
  readonly config: Mount
  /** The text of its file at first. */
  readonly text: string
  current(): Sidecar
  /** After the last one ended. */
  startAgain(): Promise<void>
}

export interface Deployed {
  readonly places: Places
  readonly keyManager: ScriptedKeyManager
  readonly instances: readonly Instance[]
  readonly envoy: RunningEnvoy
  readonly upstream: Upstream
  /** One of Envoy's own figures. */
  stat(name: string): Promise<number>
  close(): Promise<void>
}

export interface DeployOptions {
  /** What a test changes in the bootstrap beyond its addresses, and says why. */
  readonly change?: (bootstrap: string) => string
  /** Flags of the sidecars. */
  readonly flags?: Readonly<Record<string, string>>
}

/**
 * Key manager, sidecars (two where the file names two), upstream and Envoy, from the two files alone.
 * Rejects with what Envoy says where `--mode validate` does not take the file.
 */
export async function startDeployed(binary: string, file: EnvoyFile, options: DeployOptions = {}): Promise<Deployed> {
  const places = await makePlaces(file)
  const keyManager = await startKeyManager()
  const upstream = await startUpstream()
  const instances: Instance[] = []
  let envoy: RunningEnvoy | undefined
  const close = async (): Promise<void> => {
    await envoy?.stop()
    await Promise.all(instances.map((instance) => instance.current().close()))
    await keyManager.close()
    await stopUpstream(upstream)
    removePlaces(places)
  }
  try {
    const whole = envoyText(file, places, upstream.port)
    const text = options.change === undefined ? whole : options.change(whole)
    const valid = validateEnvoy(binary, text)
    if (!valid.ok) throw new Error(`${file}: ${valid.output}`)
    const hosts = file === 'mutual-tls.yaml' ? ['127.0.0.1', '127.0.0.2'] : ['127.0.0.1']
    for (const host of hosts) {
      const conf = sidecarText(file, places, keyManager.port, host)
      instances.push(await startInstance(join(places.dir, host), conf, options.flags ?? {}))
    }
    const started = await startEnvoyText({ binary, text, adminPort: places.adminPort })
    envoy = started
    const stat = async (name: string): Promise<number> => {
      const lines = await (await fetch(`${started.admin}/stats?filter=^${name}$`)).text()
      return Number(/: (\d+)/.exec(lines)?.[1])
    }
    return { places, keyManager, instances, envoy: started, upstream, stat, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function startInstance(
  directory: string,
  text: string,
  flags: Readonly<Record<string, string>>,
): Promise<Instance> {
  const config = mount(directory, { 'micro-gw.conf': text })
  const start = (): Promise<Sidecar> => startSidecar(config.path('micro-gw.conf'), flags)
  let sidecar = await start()
  return {
    config,
    text,
    current: () => sidecar,
    async startAgain() {
      sidecar = await start()
    },
  }
}

/** Looks again every 20 ms until `look` gives something; fails with `what` after `timeoutMs`. */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  timeoutMs = 30_000,
): Promise<T> {
  const giveUpAt = performance.now() + timeoutMs
  while (performance.now() < giveUpAt) {
    const found = await look()
    if (found !== undefined) return found
    await wait(20)
  }
  throw new Error(`not within ${timeoutMs} ms: ${what}`)
}
