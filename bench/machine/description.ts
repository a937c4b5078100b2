/** What a reader must know to judge the figures, and to repeat them. */
import { spawnSync } from 'node:child_process'
import { cpus, loadavg } from 'node:os'
import { SET_BY_SERVE, sidecarSettings } from '../servers/node-settings.ts'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly node: string
  /** Over the last minute, at the end of the run: above the number of cores somebody else was busy too. */
  readonly loadAverage: number
}

export interface Source {
  /** Of this folder, with `-dirty` where files differ from it; undefined: no git, or no repository. */
  readonly commit?: string
  /** Of Node, for the sidecar. */
  readonly flags: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly arguments: readonly string[]
}

export function describeSource(): Source {
  const describe = ['describe', '--always', '--dirty', '--exclude', '*', '--abbrev=12']
  const { status, stdout } = spawnSync('git', describe, { cwd: import.meta.dirname, encoding: 'utf8' })
  const { flags, env } = sidecarSettings()
  const given = Object.entries(process.env).flatMap(([name, value = '']) => (GIVEN.has(name) ? [[name, value]] : []))
  return {
    ...(status === 0 ? { commit: stdout.trim() } : {}),
    flags: [...flags, SET_BY_SERVE],
    env: { ...env, ...Object.fromEntries(given) },
    arguments: withoutFile(process.argv.slice(2)),
  }
}

/** What changes what a bench does. */
const GIVEN: ReadonlySet<string> = new Set(['BENCH_NODE_FLAGS', 'BENCH_DEADLINE_MS', 'SETTINGS'])

/** Where the result goes says nothing of how it came about. */
const withoutFile = (args: readonly string[]): readonly string[] =>
  args.filter((arg, at) => !arg.startsWith('--out') && args[at - 1] !== '--out')

export function describeMachine(): Machine {
  const all = cpus()
  const cpu = (all[0]?.model ?? 'unknown').trim()
  return { cpu, cores: all.length, node: process.versions.node, loadAverage: loadavg()[0] ?? 0 }
}
