/**
 * docker-compose.yml without a container engine: each service's program is started here with the command, environment,
 * files and health check that stand in the file. Only where things listen and where files lie is changed, by `rewrite`.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, cpSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from '../../scripts/envoy.ts'
import { rewrite } from './rewrite.ts'

export interface Service {
  readonly image: string
  readonly build?: { readonly context: string; readonly dockerfile: string }
  readonly command?: readonly string[] | null
  readonly environment?: Readonly<Record<string, string>>
  readonly volumes?: readonly { readonly type: string; readonly source: string; readonly target: string }[]
  readonly secrets?: readonly { readonly source: string; readonly target: string }[]
  readonly ports?: readonly { readonly host_ip?: string; readonly target: number; readonly published: string }[]
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly healthcheck?: { readonly test: readonly string[]; readonly interval: string; readonly retries: number }
  readonly user?: string
  readonly read_only?: boolean
  readonly cap_drop?: readonly string[]
  readonly network_mode?: string
}

export interface ComposeFile {
  readonly services: Readonly<Record<string, Service>>
  readonly secrets?: Readonly<Record<string, { readonly file: string }>>
}

/** The file as compose-go, the library of docker compose v2, reads it. Throws with what it finds wrong. */
export function readCompose(composeGo: string, file: string): ComposeFile {
  const { status, stdout, stderr } = spawnSync(composeGo, ['-format', 'json', file], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`compose-go: ${stderr}`)
  return JSON.parse(stdout) as ComposeFile
}

/** Names so that each comes after those it depends on. Throws for a circle. */
export function startOrder(services: ComposeFile['services']): readonly string[] {
  const ordered: string[] = []
  const visit = (name: string, path: readonly string[]): void => {
    if (path.includes(name)) throw new Error(`depends_on goes in a circle: ${[...path, name].join(' > ')}`)
    if (ordered.includes(name)) return
    for (const needed of Object.keys(services[name]?.depends_on ?? {})) visit(needed, [...path, name])
    ordered.push(name)
  }
  for (const name of Object.keys(services)) visit(name, [])
  return ordered
}

/** How the program of an image is run on this machine. */
export interface Program {
  /** Words before the service's own command. */
  readonly entryPoint: readonly string[]
  /** Paths inside the image, and what stands for them here. */
  readonly paths?: Readonly<Record<string, string>>
}

/** Where services listen here, instead of where the file says. */
export interface Addresses {
  /** Changes the addresses of every service, in any of their spellings, and nothing else. */
  localise(text: string, paths?: Readonly<Record<string, string>>): string
  /** The port here of a container's port. */
  port(containerPort: number): number
}

/** Container ports must differ between services, as all of them live on one host here. */
export async function chooseAddresses(ports: Readonly<Record<string, readonly number[]>>): Promise<Addresses> {
  const chosen = new Map<number, number>()
  const spellings = new Map<string, string>()
  for (const [service, numbers] of Object.entries(ports)) {
    spellings.set(`address: ${service}`, 'address: 127.0.0.1')
    for (const number of numbers) {
      if (chosen.has(number)) throw new Error(`port ${number} is used by two services`)
      const here = await freePort()
      chosen.set(number, here)
      spellings.set(`${service}:${number}`, `127.0.0.1:${here}`)
      spellings.set(`0.0.0.0:${number}`, `127.0.0.1:${here}`)
      spellings.set(`127.0.0.1:${number}`, `127.0.0.1:${here}`)
      spellings.set(`localhost:${number}`, `localhost:${here}`)
      spellings.set(`port_value: ${number}`, `port_value: ${here}`)
      spellings.set(`/dev/tcp/127.0.0.1/${number}`, `/dev/tcp/127.0.0.1/${here}`)
    }
  }
  return {
    localise(text, paths = {}) {
      const here = chosen.get(Number(text))
      // A text that is a port and nothing else: an environment variable.
      if (here !== undefined) return String(here)
      const map = { ...Object.fromEntries(spellings), ...paths }
      return rewrite(text, Object.fromEntries(Object.entries(map).filter(([key]) => holds(text, key))))
    },
    port(containerPort) {
      const here = chosen.get(containerPort)
      if (here === undefined) throw new Error(`no service listens on ${containerPort}`)
      return here
    },
  }
}

function holds(text: string, key: string): boolean {
  try {
    rewrite(text, { [key]: key })
    return true
  } catch {
    return false
  }
}

export interface RunningService {
  readonly name: string
  log(): string
  /** Runs the service's own health check until it passes; throws with the log after `timeoutMs`. */
  becomesHealthy(timeoutMs: number): Promise<void>
  stop(): Promise<void>
}

/** Lays out the service's files below `folder` and starts its program. */
export function startService(
  name: string,
  { services, secrets }: ComposeFile,
  options: { readonly folder: string; readonly program: Program; readonly addresses: Addresses },
): RunningService {
  const service = services[name]
  if (service === undefined) throw new Error(`no service ${name}`)
  const { program, addresses } = options
  const folder = join(options.folder, name)
  mkdirSync(folder, { recursive: true })

  const mounts = [
    ...(service.volumes ?? []).map(({ type, source, target }) => ({ source: type === 'bind' ? source : '', target })),
    ...(service.secrets ?? []).map(({ source, target }) => ({ source: secrets?.[source]?.file ?? '', target })),
  ]
  const paths: Record<string, string> = { ...program.paths }
  for (const { target } of mounts) paths[target] ??= join(folder, target)
  for (const { source, target } of mounts) {
    const here = paths[target] ?? ''
    mkdirSync(source === '' ? here : dirname(here), { recursive: true })
    if (source !== '') mount(source, here, (text) => addresses.localise(text, paths))
  }

  const word = (text: string): string => PROGRAMS[text] ?? addresses.localise(text, paths)
  const environment = Object.fromEntries(
    Object.entries(service.environment ?? {}).map(([key, value]) => [key, word(value)]),
  )
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder, ...javaHome(), ...environment }
  const [command = '', ...args] = [...program.entryPoint, ...(service.command ?? [])].map(word)
  const logFile = join(folder, 'log')
  const log = openSync(logFile, 'a')
  // A group of its own: a shell script's children end with it.
  const child = spawn(command, args, { cwd: folder, env, stdio: ['ignore', log, log], detached: true })
  closeSync(log)
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const killAtExit = (): void => kill(child)
  process.once('exit', killAtExit)

  return {
    name,
    log: () => readFileSync(logFile, 'utf8'),
    async becomesHealthy(timeoutMs) {
      const test = service.healthcheck?.test ?? []
      const [kind, asked = '', ...words] = test.map(word)
      if (kind !== 'CMD') throw new Error(`${name}: a health check in exec form is expected, not ${kind}`)
      const giveUpAt = Date.now() + timeoutMs
      let last = ''
      while (Date.now() < giveUpAt && child.exitCode === null && child.pid !== undefined) {
        const { status, stderr } = spawnSync(asked, words, { env, encoding: 'utf8', timeout: 5000 })
        if (status === 0) return
        last = stderr
        await wait(250)
      }
      throw new Error(`${name} is not healthy: ${last}\n${readFileSync(logFile, 'utf8').slice(-4000)}`)
    },
    async stop() {
      process.removeListener('exit', killAtExit)
      kill(child)
      await ended
    },
  }
}

const PROGRAMS: Readonly<Record<string, string>> = {
  node: process.execPath,
  'valkey-server': 'redis-server',
  'valkey-cli': 'redis-cli',
}

function javaHome(): Record<string, string> {
  const home = process.env['JAVA_HOME']
  return home === undefined ? {} : { JAVA_HOME: home }
}

function kill(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It is gone already.
  }
}

/** Copies a file or folder with its addresses changed; the source is only read. */
function mount(source: string, target: string, localise: (text: string) => string): void {
  if (statSync(source).isDirectory()) {
    mkdirSync(target, { recursive: true })
    for (const entry of readdirSync(source)) mount(join(source, entry), join(target, entry), localise)
    return
  }
  cpSync(source, target)
  writeFileSync(target, localise(readFileSync(source, 'utf8')))
}
