/** The frame of every bench: options, the tables printed, the results written as JSON. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { describeMachine, describeSource } from '../machine/description.ts'
import { closeAll } from '../machine/process.ts'
import { formatTable, type Table } from './table.ts'

export interface BenchOptions {
  /** A short run that shows that the bench measures; its figures say nothing. */
  readonly quick: boolean
  /** `h2load` where it is installed, else the load generator in `load/`. */
  readonly load: 'h2load' | 'own' | undefined
  /** Progress, one line at a time. */
  readonly say: (line: string) => void
}

export interface BenchResult {
  readonly tables: readonly Table[]
  /** Every figure by a stable name; what `docs/performance.md` quotes and the smoke tests read. */
  readonly figures: Readonly<Record<string, number>>
  readonly notes?: readonly string[]
}

const RESULTS = fileURLToPath(new URL('../results/', import.meta.url))

const HELP = (name: string): string => `Usage: npm run bench:${name} -- [--quick] [--load h2load|own] [--out FILE]

  --quick      a short run: shows that it works, measures nothing worth quoting
  --load NAME  who makes the load; default h2load where it is installed
  --out FILE   where the JSON goes; default bench/results/${name}.json
`

/** Runs one bench as a command. */
export async function runBench(name: string, bench: (options: BenchOptions) => Promise<BenchResult>): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      load: { type: 'string' },
      out: { type: 'string', default: join(RESULTS, `${name}.json`) },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help || (values.load !== undefined && values.load !== 'h2load' && values.load !== 'own')) {
    process.stdout.write(HELP(name))
    process.exitCode = values.help ? 0 : 2
    return
  }
  const startedAt = new Date()
  const say = (line: string): void => void process.stderr.write(`${line}\n`)
  try {
    const result = await bench({ quick: values.quick, load: values.load, say })
    const machine = describeMachine()
    mkdirSync(dirname(values.out), { recursive: true })
    const source = describeSource()
    const document = { bench: name, startedAt, quick: values.quick, source, machine, ...result }
    writeFileSync(values.out, `${JSON.stringify(document, null, 2)}\n`)
    process.stdout.write(`bench:${name} on ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}\n`)
    const date = startedAt.toISOString().slice(0, 10)
    process.stdout.write(`${date}, commit ${source.commit ?? 'unknown'}, sidecar: node ${source.flags.join(' ')}\n\n`)
    for (const table of result.tables) process.stdout.write(`${formatTable(table)}\n`)
    for (const note of result.notes ?? []) process.stdout.write(`${note}\n`)
  } finally {
    await closeAll()
  }
}
