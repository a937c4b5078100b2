/** Runs a bench as its user does, shortened, and hands out what it wrote. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Ran {
  readonly exit: number | null
  readonly printed: string
  readonly errors: string
  readonly figures: Readonly<Record<string, number>>
}

/** Our own load generator, so that nothing need be installed. */
export async function runQuickly(name: string): Promise<Ran> {
  const dir = mkdtempSync(join(tmpdir(), 'micro-gw-bench-test-'))
  const out = join(dir, 'result.json')
  const script = fileURLToPath(new URL(`../../bench/${name}.ts`, import.meta.url))
  try {
    const child = spawn(process.execPath, [script, '--quick', '--load', 'own', '--out', out])
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
    return { exit, printed, errors, figures: Object(read).figures ?? {} }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
