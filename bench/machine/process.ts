/** Child processes: started on a core, known to be ready by a line they write, ended with the bench. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { pinned } from './cores.ts'

export interface StartOptions<Ready> {
  readonly command: readonly string[]
  readonly core: number | 'any'
  readonly env?: Readonly<Record<string, string>>
  /** Reads a line of standard output; what it returns, other than undefined, says that the process is ready. */
  readonly ready: (line: string) => Ready | undefined
}

export interface Running<Ready> {
  readonly pid: number
  readonly ready: Ready
  /** SIGTERM, and SIGKILL where that does not help within three seconds. */
  stop(): Promise<void>
}

const running = new Set<{ stop(): Promise<void> }>()
const TOO_LONG_MS = 20_000

const children = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

export async function startProcess<Ready>(options: StartOptions<Ready>): Promise<Running<Ready>> {
  const [program = '', ...args] = pinned(options.core, options.command)
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...options.env },
  })
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()))
  children.add(child)
  const handle = {
    async stop() {
      running.delete(handle)
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 3000)
      await exited
      clearTimeout(timer)
      children.delete(child)
    },
  }
  running.add(handle)
  const ready = await new Promise<Ready>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${options.command.join(' ')}: not ready`)), TOO_LONG_MS)
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`${options.command.join(' ')}: exit ${code}`)))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const read = options.ready(line)
      if (read === undefined) return
      clearTimeout(timer)
      resolve(read)
    })
  })
  return { pid: child.pid ?? 0, ready, stop: handle.stop }
}

/** Ends whatever a bench left running. */
export async function closeAll(): Promise<void> {
  await Promise.all([...running].map((handle) => handle.stop()))
}
