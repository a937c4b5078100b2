/** Environment variables and flags that set keys. */
import { editDistance, nearest } from './nearest.ts'
import type { Environment } from './references.ts'
import type { Report } from './report.ts'
import { rowOf, SCHEMA, variableOf } from './schema.ts'
import type { WrittenKeys } from './written.ts'

const settable = SCHEMA.flatMap((row) => {
  const name = variableOf(row)
  return name === undefined ? [] : [{ row, name, lower: name.toLowerCase() }]
})
/** Kubernetes makes these for every Service of the namespace: `LOG_PORT` is no misspelling of ours. */
const KUBERNETES = /_SERVICE_HOST$|_SERVICE_PORT|_PORT$|_PORT_/
const TOP_TABLES = [...new Set(SCHEMA.map((row) => row.path.split(/[.[]/, 1).join('').toLowerCase()))]

/** Variables that set a key, matched without regard to case; an empty one counts as unset. */
export function readEnvironment(env: Environment, report: Report): WrittenKeys {
  const written: WrittenKeys = new Map()
  const variables = Map.groupBy(
    Object.entries(env).flatMap(([name, value]) => (value === undefined || value === '' ? [] : [{ name, value }])),
    (variable) => variable.name.toLowerCase(),
  )
  for (const { row, lower } of settable) {
    const [first, ...others] = variables.get(lower) ?? []
    if (first === undefined) continue
    const other = others.find(({ value }) => value !== first.value)
    if (other !== undefined) {
      report.error(
        row.path,
        `The environment variables ${first.name} and ${other.name} differ only in case and have different values. Remove one.`,
      )
    }
    written.set(row.path, { row, value: first.value, source: { kind: 'variable', name: first.name } })
  }
  const known = new Set(settable.map(({ lower }) => lower))
  for (const [lower, [variable]] of variables) {
    if (variable !== undefined && !known.has(lower)) warnOfSlip(variable.name, lower, report)
  }
  return written
}

function warnOfSlip(name: string, lower: string, report: Report): void {
  if (KUBERNETES.test(name) || !TOP_TABLES.some((table) => lower.startsWith(`${table}_`))) return
  if (/^(policy_rules|upstreamheaders_|jwttokenconfig_)/.test(lower)) {
    report.warning(
      name,
      'Arrays of tables and [upstreamHeaders] cannot be set by an environment variable: it is ignored. Write them in the file.',
    )
    return
  }
  const near = settable.find((candidate) => editDistance(lower, candidate.lower) <= 2)
  if (near !== undefined) report.warning(name, `This environment variable sets nothing. Did you mean ${near.name}?`)
}

/** Flags by key path, such as `log.level`; they win over everything. */
export function readFlags(flags: Readonly<Record<string, string>>, report: Report): WrittenKeys {
  const written: WrittenKeys = new Map()
  for (const [name, value] of Object.entries(flags)) {
    const found = settable.find(({ row }) => row.path.toLowerCase() === name.toLowerCase())
    if (found === undefined) report.error(name, unknownFlag(name))
    else written.set(found.row.path, { row: rowOf(found.row.path), value, source: { kind: 'flag', name } })
  }
  return written
}

function unknownFlag(name: string): string {
  const lower = name.toLowerCase()
  if (/^(policy\.rules|upstreamheaders|jwttokenconfig)($|[.[])/.test(lower))
    return 'Arrays of tables and [upstreamHeaders] cannot be set on the command line. Write them in the file.'
  const paths = settable.map(({ row }) => row.path)
  // Often the table is left out.
  const near = paths.find((path) => path.toLowerCase().endsWith(`.${lower}`)) ?? nearest(name, paths) ?? ''
  return `There is no such key to set on the command line. The nearest is \`${near}\`.`
}
