/** The sidecar as it is run: the real command in a process of its own, on a configuration file that the test looks after. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

export interface Sidecar {
  /** `127.0.0.1:PORT` of /metrics and the probes. */
  readonly admin: string
  /** Everything on standard output and standard error so far. */
  output(): string
  /** The value of a series; NaN where it is missing. */
  metric(series: string): Promise<number>
  signal(name: NodeJS.Signals): void
  /** The exit status; -1 where a signal ended it. */
  readonly exited: Promise<number>
  /** At once. */
  close(): Promise<void>
}

/**
 * `serve --config FILE`, resolved when it listens; rejects with its output where it ended instead.
 * Only what no file of `deploy/` sets is set here: the admin ports, free ones, and no probe of the scripted key manager.
 */
export async function startSidecar(file: string, flags: Readonly<Record<string, string>> = {}): Promise<Sidecar> {
  const all = {
    'admin.listen': '127.0.0.1:0',
    'admin.localListen': '',
    'keyManager.startupProbe': 'false',
    ...flags,
  }
  const sets = Object.entries(all).flatMap(([key, value]) => ['--set', `${key}=${value}`])
  const child = spawn(process.execPath, [CLI, 'serve', '--config', file, ...sets], {
    env: {},
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  // However this process ends: a sidecar left behind would keep its port.
  const killAtExit = (): void => void child.kill('SIGKILL')
  process.once('exit', killAtExit)
  let output = ''
  const exited = new Promise<number>((resolve) =>
    child.once('close', (code) => {
      process.removeListener('exit', killAtExit)
      resolve(code ?? -1)
    }),
  )
  const admin = await new Promise<string>((resolve, reject) => {
    const take = (text: string): void => {
      output += text
      const started = /^\{.*"event":"started".*\}$/m.exec(output)?.[0]
      if (started !== undefined) resolve(String(JSON.parse(started).admin))
    }
    child.stdout.setEncoding('utf8').on('data', take)
    child.stderr.setEncoding('utf8').on('data', take)
    void exited.then((code) => reject(new Error(`serve ended with ${code}: ${output}`)))
  })
  return {
    admin,
    output: () => output,
    async metric(series) {
      const text = await (await fetch(`http://${admin}/metrics`)).text()
      const line = text.split('\n').find((candidate) => candidate.startsWith(`${series} `))
      return line === undefined ? Number.NaN : Number(line.slice(series.length))
    },
    signal: (name) => void child.kill(name),
    exited,
    async close() {
      child.kill('SIGKILL')
      await exited
    },
  }
}
