/** The one table of configuration keys: the reader, the environment, `docs/configuration.md` and the suggestions all use it. */
import { keyManagerRows } from './schema-key-manager.ts'
import { policyRows } from './schema-policy.ts'
import type { Row } from './schema-row.ts'
import { sidecarRows } from './schema-sidecar.ts'
import { wso2Rows } from './schema-wso2.ts'

export type { Row } from './schema-row.ts'

/** Every key, in the order of the documentation. */
export const SCHEMA: readonly Row[] = Object.freeze([
  ...keyManagerRows(),
  ...sidecarRows(),
  ...policyRows(),
  ...wso2Rows(),
])

/** The table a path lies in: all but its last segment; '' at the top. */
export function tableOf(path: string): string {
  const dot = path.lastIndexOf('.')
  return dot < 0 ? '' : path.slice(0, dot)
}

/** The last segment of a path. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1)
}

const byPath = new Map(SCHEMA.map((entry) => [entry.path, entry]))

/** The row of a documented path; a path that is not in the table is a mistake in this program. */
export function rowOf(path: string): Row {
  const found = byPath.get(path)
  if (found === undefined) throw new Error(`no configuration key ${path}`)
  return found
}

/** Whether a variable can set the key, and how it is spelt; the reader compares without regard to case. */
export function variableOf(entry: Row): string | undefined {
  if (entry.type === 'tables' || entry.type === 'map' || entry.path.endsWith('*') || entry.path.includes('[]')) {
    return undefined
  }
  return entry.path.replaceAll('.', '_')
}
