/** `serve` in a process of its own: where the figure is that process's memory, its life or its exit status. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

const FREE_PORTS = {
  'extAuthz.listen': '127.0.0.1:0',
  'admin.listen': '127.0.0.1:0',
  'admin.localListen': '127.0.0.1:0',
  'keyManager.startupProbe': 'false',
}

export interface OwnProcess {
  /** Where Checks go. */
  readonly address: string
  readonly addresses: readonly string[]
  readonly admin: string
  readonly localAdmin: string
  readonly pid: number
  /** Replaces the configuration text; send SIGHUP after. */
  rewrite(toml: string): void
  /** Everything on standard output and standard error so far. */
  output(): string
  /** What is done with its standard output from now on; closed: what it writes there fails. */
  takeOutput(how: 'read' | 'unread' | 'closed'): void
  /** True: neither exited nor killed. */
  isAlive(): boolean
  /** Resident memory by its own metric, bytes. */
  rssBytes(): Promise<number>
  metric(series: string): Promise<number>
  signal(name: NodeJS.Signals): void
  /** The exit status; -1 where a signal ended it. */
  readonly exited: Promise<number>
  close(): Promise<void>
}

interface Child {
  readonly file: string
  readonly process: ChildProcessByStdio<null, Readable, Readable>
  readonly exited: Promise<number>
  output(): string
  remove(): void
}

function spawnServe(
  toml: string,
  flags: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
  nodeFlags: readonly string[] = [],
): Child {
  const dir = mkdtempSync(join(tmpdir(), 'micro-gw-'))
  const file = join(dir, 'micro-gw.conf')
  writeFileSync(file, toml)
  const sets = Object.entries({ ...FREE_PORTS, ...flags }).flatMap(([key, value]) => ['--set', `${key}=${value}`])
  const child = spawn(process.execPath, [...nodeFlags, CLI, 'serve', '--config', file, ...sets], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const take = (text: string): void => {
    output += text
  }
  child.stdout.setEncoding('utf8').on('data', take)
  child.stderr.setEncoding('utf8').on('data', take)
  const exited = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)))
  return {
    file,
    process: child,
    exited,
    output: () => output,
    remove: () => rmSync(dir, { recursive: true, force: true }),
  }
}

/** Resolves when it listens; rejects with its output where it ended instead. */
export async function startOwnProcess(
  toml: string,
  flags: Readonly<Record<string, string>> = {},
  env: Readonly<Record<string, string>> = {},
  nodeFlags: readonly string[] = [],
): Promise<OwnProcess> {
  const child = spawnServe(toml, flags, env, nodeFlags)
  let isAlive = true
  void child.exited.then(() => {
    isAlive = false
  })
  const started = await new Promise<Started>((resolve, reject) => {
    const look = (): void => {
      const line = child
        .output()
        .split('\n')
        .find((text) => text.includes('"event":"started"'))
      if (line !== undefined) resolve(JSON.parse(line))
    }
    child.process.stdout.on('data', look)
    void child.exited.then((code) => reject(new Error(`serve ended with ${code}: ${child.output()}`)))
  })
  const metric = async (series: string): Promise<number> => {
    const text = await (await fetch(`http://${started.admin}/metrics`)).text()
    const line = text.split('\n').find((candidate) => candidate.startsWith(`${series} `))
    return line === undefined ? Number.NaN : Number(line.slice(series.length))
  }
  return {
    address: started.extAuthz[0] ?? '',
    addresses: started.extAuthz,
    admin: started.admin,
    localAdmin: started.localAdmin,
    pid: child.process.pid ?? 0,
    rewrite: (text) => writeFileSync(child.file, text),
    output: child.output,
    takeOutput(how) {
      if (how === 'closed') child.process.stdout.destroy()
      else if (how === 'unread') child.process.stdout.pause()
      else child.process.stdout.resume()
    },
    isAlive: () => isAlive,
    rssBytes: () => metric('process_resident_memory_bytes'),
    metric,
    signal: (name) => void child.process.kill(name),
    exited: child.exited,
    async close() {
      child.process.kill('SIGKILL')
      await child.exited
      child.remove()
    },
  }
}

interface Started {
  readonly extAuthz: readonly string[]
  readonly admin: string
  readonly localAdmin: string
}

/** For what ends by itself, such as a configuration that must be refused: waits for the end. */
export async function serveToItsEnd(
  toml: string,
  flags: Readonly<Record<string, string>> = {},
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly exit: number; readonly output: string }> {
  const child = spawnServe(toml, flags, env)
  // One that starts after all would never end.
  const timer = setTimeout(() => child.process.kill('SIGKILL'), 10_000)
  const exit = await child.exited
  clearTimeout(timer)
  child.remove()
  return { exit, output: child.output() }
}
