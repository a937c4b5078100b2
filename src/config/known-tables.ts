/** The tables that the table of keys knows, and how their names are looked up. */
import { nameOf, type Row, SCHEMA, tableOf } from './schema.ts'

const wildcards = SCHEMA.filter((row) => row.path.endsWith('.*'))

/** Rows of single keys: neither of a rule nor wildcards. */
export const rows = SCHEMA.filter((row) => !row.path.includes('[]') && !row.path.endsWith('.*'))
/** By table, lower case. */
export const rowsByTable = Map.groupBy(rows, (row) => tableOf(row.path).toLowerCase())
export const rowsByLowerPath = new Map(rows.map((row) => [row.path.toLowerCase(), row]))
/** Every table that holds a row, and its ancestors: lower case -> documented spelling. */
export const knownTables = new Map(
  rows.flatMap((row) => ancestors(tableOf(row.path)).map((path) => [path.toLowerCase(), path])),
)

const arrays = rows.filter((row) => row.type === 'tables').map((row) => row.path)
const maps = rows.filter((row) => row.type === 'map').map((row) => row.path)
/** Those, arrays of tables and tables of free names. */
export const ownTables: readonly string[] = [...new Set([...knownTables.values(), ...arrays, ...maps])]

function ancestors(path: string): readonly string[] {
  return path === '' ? [] : [...ancestors(tableOf(path)), path]
}

/** The wildcard row that stands for this path, if any. */
export function wildcardOf(lowerPath: string): Row | undefined {
  return wildcards.find(({ path }) => {
    const top = path.slice(0, -2).toLowerCase()
    return lowerPath === top || lowerPath.startsWith(`${top}.`)
  })
}

/** As the table is opened: in single or double brackets. */
export function headerOf(table: string): string {
  return arrays.includes(table) ? `[[${table}]]` : `[${table}]`
}

/** Names of the tables right below this one. */
export function tablesIn(table: string): readonly string[] {
  return ownTables.filter((path) => tableOf(path).toLowerCase() === table.toLowerCase()).map(nameOf)
}
