/** Runs a bench as its user does, shortened, and hands out what it wrote. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Context } from 'mocha'
import { HAS_H2LOAD } from '../../bench/load/h2load.ts'

export interface Ran {
  readonly exit: number | null
  readonly printed: string
  readonly errors: string
  readonly figures: Readonly<Record<string, number>>
  /** The whole file. */
  readonly document: Readonly<Record<string, unknown>>
}

/** For a test that needs h2load; without it the test is skipped with a reason, and fails under CI=true. */
export function h2loadOrSkip(context: Context): void {
  if (HAS_H2LOAD) return
  const reason = "h2load is not installed: Debian's nghttp2-client has it"
  if (process.env['CI'] === 'true') throw new Error(reason)
  process.emitWarning(`skipped: ${reason}`)
  context.skip()
}

/** By default with our own load generator, so that nothing need be installed. */
export async function runQuickly(name: string, load: 'own' | 'h2load' = 'own'): Promise<Ran> {
  const dir = mkdtempSync(join(tmpdir(), 'micro-gw-bench-test-'))
  const out = join(dir, 'result.json')
  const script = fileURLToPath(new URL(`../../bench/${name}.ts`, import.meta.url))
  try {
    const child = spawn(process.execPath, [script, '--quick', '--load', load, '--out', out])
    let printed = ''
    let errors = ''
    child.stdout.on('data', (chunk: Buffer) => {
      printed += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString()
    })
    const exit = await new Promise<number | null>((resolve) => child.once('close', resolve))
    const read: unknown = exit === 0 ? JSON.parse(readFileSync(out, 'utf8')) : {}
    return { exit, printed, errors, figures: Object(read).figures ?? {}, document: Object(read) }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
