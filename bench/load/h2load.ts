/** nghttp2's load generator: the same request again and again, as fast as it goes. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LoadTarget } from './connection.ts'

export const HAS_H2LOAD = spawnSync('h2load', ['--version']).status === 0

export interface H2LoadRun {
  readonly target: LoadTarget
  readonly connections: number
  readonly streams: number
  readonly total: number
  readonly body: Buffer
  /** Of the body of each good reply. */
  readonly replyBytes: number
}

/**
 * Rejects where a request did not end with status 200, or where the replies together have not the bytes of good ones: a
 * gRPC error has status 200 and no body.
 */
export async function runH2load(run: H2LoadRun): Promise<{ readonly seconds: number }> {
  const dir = mkdtempSync(join(tmpdir(), 'micro-gw-bench-'))
  try {
    const file = join(dir, 'request.bin')
    writeFileSync(file, run.body)
    const { target } = run
    const headers = Object.entries(target.headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
    const amount = ['-t', '1', '-c', String(run.connections), '-m', String(run.streams), '-n', String(run.total)]
    const output = await outputOf([...amount, '-d', file, ...headers, `http://127.0.0.1:${target.port}${target.path}`])
    const succeeded = Number(/(\d+) succeeded/.exec(output)?.[1])
    const bytes = Number(/\((\d+)\) data/.exec(output)?.[1])
    const seconds = secondsIn(/finished in ([\d.]+)(us|ms|s)/.exec(output))
    if (succeeded !== run.total || Number.isNaN(seconds)) throw new Error(`h2load:\n${output}`)
    const expected = run.total * run.replyBytes
    if (bytes !== expected) throw new Error(`h2load: replies of ${bytes} bytes, ${expected} expected\n${output}`)
    return { seconds }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

function secondsIn(match: RegExpExecArray | null): number {
  const unit = match?.[2] === 'us' ? 1e-6 : match?.[2] === 'ms' ? 1e-3 : 1
  return Number(match?.[1]) * unit
}

function outputOf(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('h2load', args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    child.once('error', reject)
    child.once('close', () => resolve(output))
  })
}
