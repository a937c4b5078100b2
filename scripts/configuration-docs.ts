/** Writes `docs/configuration.md` from the table of keys; without `--write` it says whether the file is stale (exit 1). */
import { readFileSync, writeFileSync } from 'node:fs'
import { type Row, SCHEMA, tableOf, variableOf } from '../src/config/schema.ts'

const FILE = new URL('../docs/configuration.md', import.meta.url)

const INTRODUCTION = `# Configuration

<!-- Made by \`npm run docs\` from src/config/schema.ts: change the table there, not this file. -->

\`micro-gw-authz\` reads the \`micro-gw.conf\` of WSO2 API Microgateway (TOML), by default
\`/etc/micro-gw-authz/micro-gw.conf\`, or what \`--config\` names. \`micro-gw-authz check-config\` prints every problem with
its line; \`--wso2\` adds how WSO2 reads each of its keys.

- **Precedence**: flags, then environment, then file, then defaults.
- **Names**: tables are matched without regard to case (\`[keyManager]\` and \`[keymanager.security.basic]\` meet), key
  names exactly. An unknown key in a table used here is an error. An empty text is the same as an absent key, unless the
  table says otherwise.
- **Environment**: the path joined by \`_\`, in any case: \`keyManager_serverUrl\`, \`KEYMANAGER_SECURITY_BASIC_PASSWORD\`.
  Lists are comma separated. Arrays of tables and \`[upstreamHeaders]\` stand in the file only. An empty variable counts
  as unset.
- **References**: \`"@env:{NAME}"\`, \`"@file:{/run/secrets/x}"\` (one trailing line end dropped), and WSO2's
  \`"@encrypted:{base64}"\`, whose secret comes from \`MICRO_GW_AUTHZ_CIPHER_SECRET\` or the file named by
  \`MICRO_GW_AUTHZ_CIPHER_SECRET_FILE\` (\`micro-gw-authz encrypt\` makes such values).
- **Durations**: \`"250ms"\`, \`"10s"\`, \`"15m"\`, \`"1h"\`. A bare number is taken only where the table names its unit.
- **Sections with \`enabled = false\`** are type-checked and otherwise ignored.
- **Later**: keys marked so are known, and an error ("not supported yet") where they ask for something.
`

/** The whole document. */
export function configurationDocument(): string {
  const used = SCHEMA.filter((row) => row.status !== 'unused')
  const groups = Map.groupBy(used, (row) => (row.type === 'map' ? row.path : tableOf(row.path)))
  const sections = [...groups].filter(([, rows]) => rows.length > 0).map(([table, rows]) => section(table, rows))
  const unused = SCHEMA.filter((row) => row.status === 'unused').map((row) => `- \`${row.path}\`: ${row.doc}`)
  return [
    INTRODUCTION,
    ...sections,
    '## Accepted and not used\n\nNamed once at start.\n',
    `${unused.join('\n')}\n`,
  ].join('\n')
}

function section(table: string, rows: readonly Row[]): string {
  const title = table === '' ? 'Tables' : table === 'policy.rules[]' ? '`[[policy.rules]]`' : `\`[${table}]\``
  const lines = rows.map(
    (row) =>
      `| ${[name(row, table), kind(row), shownDefault(row), origin(row), row.doc.replaceAll('|', '\\|')].join(' | ')} |`,
  )
  return [`## ${title}\n`, '| key | type | default | from | meaning |', '|---|---|---|---|---|', ...lines, ''].join(
    '\n',
  )
}

function name(row: Row, table: string): string {
  const plain = table === '' || row.type === 'map' ? row.path : row.path.slice(table.length + 1)
  return variableOf(row) === undefined ? `\`${plain}\` (file only)` : `\`${plain}\``
}

function kind(row: Row): string {
  if (row.choices !== undefined) return row.choices.map((choice) => `\`"${choice}"\``).join(', ')
  if (row.type === 'duration')
    return row.unit === undefined ? 'duration' : `duration, or ${row.unit === 's' ? 'seconds' : 'milliseconds'}`
  if (row.range !== undefined) return `${row.type} ${row.range[0]} to ${row.range[1]}`
  return row.emptyIsValue ? `${row.type}, may be empty` : row.type
}

function shownDefault(row: Row): string {
  if (row.default === undefined) return '-'
  return `\`${JSON.stringify(row.default)}\``
}

function origin(row: Row): string {
  return `${row.origin === 'wso2' ? 'WSO2' : 'this sidecar'}${row.status === 'later' ? ', later' : ''}`
}

if (import.meta.main) {
  const document = configurationDocument()
  if (process.argv.includes('--write')) writeFileSync(FILE, document)
  else if (readFileSync(FILE, 'utf8') !== document) {
    process.stderr.write('docs/configuration.md is stale: run `npm run docs`.\n')
    process.exitCode = 1
  }
}
