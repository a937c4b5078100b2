/**
 * Custom resources against their CustomResourceDefinitions (.tools/crds, from .ci/tools/gateway-crds.sh), by kubeconform.
 * An API server drops a field it does not know; here it is an error.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadAll } from 'js-yaml'
import type { Context } from 'mocha'
import { needTool } from './tool.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const NATIVE =
  '.venv/kubernetes-validate/lib/python3*/site-packages/kubernetes_validate/kubernetes-json-schema/*-local-strict/deployment-apps-v1.json'

export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [key: string]: Json
}

export interface CrdCheck {
  /** One line for each problem in YAML `text`; empty: all of its resources are known and valid. */
  problems(text: string): readonly string[]
  close(): void
}

/**
 * For a `before` hook: the definitions of `names` (folders of .tools/crds without their version), `more` of them, and
 * Kubernetes' own kinds.
 */
export function needCrds(context: Context, names: readonly string[], more: readonly JsonObject[] = []): CrdCheck {
  const kubeconform = needTool(context, 'kubeconform')
  const native = globSync(NATIVE, { cwd: ROOT }).sort().at(-1)
  const files = names.map((name) => globSync(`.tools/crds/${name}-*/*.yaml`, { cwd: ROOT }))
  if (native === undefined || files.some((found) => found.length === 0)) {
    const reason = `no definitions of ${names.join(', ')} or Kubernetes: run .ci/tools/gateway-crds.sh and .ci/tools/kubernetes.sh`
    if (process.env['CI'] === 'true') throw new Error(reason)
    console.log(`      skipped: ${reason}`)
    context.skip()
  }
  const definitions = files.flat().flatMap((file) => readResources(readFileSync(join(ROOT, file), 'utf8')))
  return createCrdCheck(kubeconform, [...definitions, ...more], join(ROOT, native, '..'))
}

/** The resources of a YAML text; empty documents are left out. */
export function readResources(text: string): readonly JsonObject[] {
  return loadAll(text).filter(isObject)
}

/** The member at `path`, through objects and lists; throws where it is missing, so that a test cannot pass on nothing. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  let current = value
  for (const [depth, step] of path.entries()) {
    const next = Array.isArray(current) ? current[Number(step)] : isObject(current) ? current[step] : undefined
    if (next === undefined) throw new Error(`no ${path.slice(0, depth + 1).join('.')} in ${JSON.stringify(value)}`)
    current = next
  }
  return current
}

/** As `at`, for a list. */
export function listAt(value: unknown, ...path: readonly (string | number)[]): readonly unknown[] {
  const found = at(value, ...path)
  if (!Array.isArray(found)) throw new Error(`no list at ${path.join('.')} in ${JSON.stringify(value)}`)
  return found
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function createCrdCheck(kubeconform: string, definitions: readonly JsonObject[], native: string): CrdCheck {
  const dir = mkdtempSync(join(tmpdir(), 'micro-gw-crds-'))
  for (const definition of definitions) {
    if (definition['kind'] !== 'CustomResourceDefinition') continue
    const group = at(definition, 'spec', 'group')
    const kind = String(at(definition, 'spec', 'names', 'kind')).toLowerCase()
    const versions = at(definition, 'spec', 'versions')
    if (!Array.isArray(versions)) continue
    for (const version of versions) {
      const schema = at(version, 'schema', 'openAPIV3Schema')
      if (!isObject(schema)) continue
      writeFileSync(join(dir, `${kind}-${group}-${at(version, 'name')}.json`), JSON.stringify(strictResource(schema)))
    }
  }
  const locations = [
    join(dir, '{{ .ResourceKind }}-{{ .Group }}-{{ .ResourceAPIVersion }}.json'),
    join(dir, '{{ .ResourceKind }}{{ .KindSuffix }}.json'),
  ]
  const copied = new Set<string>()
  return {
    problems: (text) => {
      for (const resource of readResources(text)) {
        const name = nativeFile(resource)
        if (copied.has(name) || !existsSync(join(native, name))) continue
        writeFileSync(join(dir, name), selfContained(native, name))
        copied.add(name)
      }
      const args = ['-strict', '-output', 'json', ...locations.flatMap((location) => ['-schema-location', location])]
      const run = spawnSync(kubeconform, [...args, '-'], { input: text, encoding: 'utf8', timeout: 30_000 })
      const report: unknown = JSON.parse(run.stdout)
      const resources = at(report, 'resources')
      if (!Array.isArray(resources)) throw new Error(`kubeconform: ${run.stdout}${run.stderr}`)
      const found = resources.map((line) => `${at(line, 'kind')} ${at(line, 'name')}: ${at(line, 'msg')}`)
      if (found.length === 0 && run.status !== 0) throw new Error(`kubeconform: ${run.stdout}${run.stderr}`)
      return found
    },
    close: () => rmSync(dir, { recursive: true, force: true }),
  }
}

/** `deployment-apps-v1.json` for a Deployment of apps/v1. */
function nativeFile(resource: JsonObject): string {
  const [first = '', second] = String(resource['apiVersion']).split('/')
  const suffix = second === undefined ? first : `${first.split('.')[0]}-${second}`
  return `${String(resource['kind']).toLowerCase()}-${suffix}.json`
}

/** Kubernetes' schema of a kind with what it refers to, and no more: kubeconform does not follow a reference into another file. */
function selfContained(native: string, name: string): string {
  const here = (file: string): unknown =>
    JSON.parse(readFileSync(join(native, file), 'utf8').replaceAll('"/api/_definitions.json#', '"#'))
  const schema = here(name)
  const definitions = at(here('_definitions.json'), '$defs')
  if (!isObject(schema) || !isObject(definitions)) throw new Error(`${name} is no schema`)
  const needed: Record<string, Json> = {}
  const waiting: Json[] = [schema]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const [, key = ''] of JSON.stringify(next).matchAll(/"#\/\$defs\/([^"]+)"/g)) {
      const found = definitions[key]
      if (found === undefined || key in needed) continue
      needed[key] = found
      waiting.push(found)
    }
  }
  return JSON.stringify({ ...schema, $defs: needed })
}

/** The metadata an example may carry: a definition leaves it open. */
const METADATA = {
  type: 'object',
  required: ['name'],
  additionalProperties: false,
  properties: {
    name: { type: 'string' },
    namespace: { type: 'string' },
    labels: { type: 'object', additionalProperties: { type: 'string' } },
    annotations: { type: 'object', additionalProperties: { type: 'string' } },
  },
} as const

function strictResource(schema: JsonObject): Json {
  const closed = strict(schema)
  if (!isObject(closed) || !isObject(closed['properties'])) throw new Error('a definition without properties')
  const properties = {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    ...closed['properties'],
    metadata: METADATA,
  }
  return { ...closed, properties, additionalProperties: false }
}

/** Closes every object that does not preserve unknown fields, and says "int or string" in JSON Schema's own words. */
function strict(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(strict)
  if (!isObject(schema)) return schema
  const inner: Record<string, Json> = {}
  for (const [key, value] of Object.entries(schema)) {
    // A map of named schemas, and data: not schemas themselves.
    if (key === 'properties' && isObject(value)) {
      inner[key] = Object.fromEntries(Object.entries(value).map(([name, member]) => [name, strict(member)]))
    } else inner[key] = key === 'default' || key === 'enum' || key === 'example' ? value : strict(value)
  }
  if (schema['x-kubernetes-int-or-string'] === true) {
    const { type: _, ...rest } = inner
    return { ...rest, anyOf: [{ type: 'integer' }, { type: 'string' }] }
  }
  if (
    isObject(schema['properties']) &&
    schema['type'] === 'object' &&
    schema['x-kubernetes-preserve-unknown-fields'] !== true &&
    schema['additionalProperties'] === undefined
  ) {
    inner['additionalProperties'] = false
  }
  return inner
}
