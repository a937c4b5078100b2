/**
 * The part of the chart's values.schema.json that describes micro-gw.conf, made from the product's own table of keys.
 * `node test/deploy/helm-values-schema.ts --write` puts it into the file; the suite fails where the two differ.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { type Row, SCHEMA } from '../../src/config/schema.ts'

export const SCHEMA_FILE = new URL('../../deploy/helm/micro-gw-authz/values.schema.json', import.meta.url)

type Schema = Readonly<Record<string, unknown>>
type Properties = Record<string, unknown>

/** The chart sets these in the container's environment, where they agree with the pod's specification. */
const CHART_OWNS =
  /^(?:extAuthz\.(?:listen|socketMode|drain\w+|tls\..*)|admin\.listen|b7a\.observability\.metrics\.prometheus\.port)$/

const REFERENCE: Schema = {
  type: 'string',
  pattern: '^@(file|env|encrypted):\\{.+\\}$',
  description: 'A reference: a secret in clear has no place in a ConfigMap.',
}
const TEXTS: Schema = { type: 'array', items: { type: 'string' } }

function schemaOf(row: Row): Schema {
  switch (row.type) {
    case 'text':
      return row.choices === undefined ? { type: 'string' } : { enum: row.choices }
    case 'secret':
      return REFERENCE
    case 'secrets':
      return { oneOf: [REFERENCE, { type: 'array', items: REFERENCE, minItems: 1, maxItems: 2 }] }
    case 'boolean':
      return { type: 'boolean' }
    case 'integer':
      return { type: 'integer', ...(row.range === undefined ? {} : { minimum: row.range[0], maximum: row.range[1] }) }
    case 'duration': {
      const text: Schema = { type: 'string', pattern: '^[0-9]+(ms|s|m|h)$' }
      return row.unit === undefined ? text : { oneOf: [text, { type: 'integer', minimum: 0 }] }
    }
    case 'list':
      return TEXTS
    case 'scopes':
    case 'addresses':
      return { oneOf: [{ type: 'string' }, TEXTS] }
    case 'workers':
      return { oneOf: [{ type: 'integer', minimum: 1 }, { enum: ['auto'] }] }
    case 'map':
      return { type: 'object', additionalProperties: { type: 'string' } }
    case 'tables':
    case 'any':
      return {}
  }
}

/** Properties of the table at `path`, made on the way; `rules[]` is an array of tables. */
function propertiesOf(root: Properties, path: readonly string[]): Properties {
  let properties = root
  for (const segment of path) {
    const name = segment.replace(/\[\]$/, '')
    const table = { type: 'object', additionalProperties: false, properties: {} }
    const isNew = !Object.hasOwn(properties, name) || Object.keys(Object(properties[name])).length === 0
    if (isNew) properties[name] = segment.endsWith('[]') ? { type: 'array', items: table } : table
    const at = Object(properties[name])
    properties = Object(at.items ?? at).properties
  }
  return properties
}

/** Every key that is used, but for those the chart owns. */
export function configSchema(): Schema {
  const properties: Properties = {}
  for (const row of SCHEMA) {
    if (row.status !== 'used' || CHART_OWNS.test(row.path) || row.path.includes('*')) continue
    const segments = row.path.split('.')
    const name = segments.pop() ?? ''
    const table = propertiesOf(properties, segments)
    if (!Object.hasOwn(table, name)) table[name] = schemaOf(row)
  }
  return {
    type: 'object',
    description:
      'The keys of docs/configuration.md, written as micro-gw.conf. Listeners, TLS and drain are set by the chart.',
    additionalProperties: false,
    properties,
  }
}

export function readValuesSchema(): { properties: { config: unknown } } {
  return JSON.parse(readFileSync(SCHEMA_FILE, 'utf8'))
}

if (process.argv[1]?.endsWith('helm-values-schema.ts') === true && process.argv.includes('--write')) {
  const schema = readValuesSchema()
  schema.properties.config = configSchema()
  writeFileSync(SCHEMA_FILE, `${JSON.stringify(schema, undefined, 2)}\n`)
}
