/** What egctl says Envoy would be told, as the bootstrap of an Envoy that nobody tells anything. */
import { isObject, type Json, type JsonObject } from './crds.ts'

export interface ConfigDump {
  readonly listeners: readonly JsonObject[]
  readonly routes: readonly JsonObject[]
  readonly clusters: readonly JsonObject[]
  readonly endpoints: readonly JsonObject[]
}

/** The parts of an admin.v3.ConfigDump. */
export function readDump(dump: unknown): ConfigDump {
  const found = (part: string, kind: string): readonly JsonObject[] =>
    every(dump, (value) => {
      const inner = value[part]
      return isObject(inner) && String(inner['@type']).endsWith(`.${kind}`) ? inner : undefined
    })
  return {
    listeners: found('listener', 'Listener'),
    routes: found('routeConfig', 'RouteConfiguration'),
    clusters: found('cluster', 'Cluster'),
    endpoints: found('endpointConfig', 'ClusterLoadAssignment'),
  }
}

/** Everything that `pick` finds in the tree below `value`, outermost first. */
export function every<T>(value: unknown, pick: (object: JsonObject) => T | undefined): readonly T[] {
  if (Array.isArray(value)) return value.flatMap((item) => every(item, pick))
  if (!isObject(value)) return []
  const own = pick(value)
  const below = Object.values(value).flatMap((item) => every(item, pick))
  return own === undefined ? below : [own, ...below]
}

/** The dump as static resources; `secrets` are named as the dump refers to them. Nothing else is changed. */
export function staticResources(dump: ConfigDump, secrets: readonly JsonObject[]): JsonObject {
  const routes = new Map(dump.routes.map((route) => [route['name'], untyped(route)]))
  const endpoints = new Map(dump.endpoints.map((assignment) => [assignment['clusterName'], untyped(assignment)]))
  return {
    listeners: dump.listeners.map((listener) =>
      without(map(untyped(listener), (object) => inlineRoutes(object, routes))),
    ),
    clusters: dump.clusters.map((cluster) => without(inlineEndpoints(untyped(cluster), endpoints))),
    secrets,
  }
}

/** In a bootstrap the field's type is known. */
function untyped({ '@type': _, ...rest }: JsonObject): JsonObject {
  return rest
}

function inlineRoutes(object: JsonObject, routes: ReadonlyMap<unknown, JsonObject>): JsonObject {
  const { rds, ...rest } = object
  if (!isObject(rds)) return object
  const found = routes.get(rds['routeConfigName'])
  if (found === undefined) throw new Error(`the dump has no routes ${rds['routeConfigName']}`)
  return { ...rest, routeConfig: found }
}

function inlineEndpoints(cluster: JsonObject, endpoints: ReadonlyMap<unknown, JsonObject>): JsonObject {
  const { edsClusterConfig, ...rest } = cluster
  if (edsClusterConfig === undefined) return cluster
  const service = isObject(edsClusterConfig) ? edsClusterConfig['serviceName'] : undefined
  const found = endpoints.get(service ?? cluster['name'])
  if (found === undefined) throw new Error(`the dump has no endpoints of ${cluster['name']}`)
  return { ...rest, type: 'STATIC', loadAssignment: { ...found, clusterName: String(cluster['name']) } }
}

/** A secret that comes from nowhere is looked for in the bootstrap. */
function without(object: JsonObject): JsonObject {
  return map(object, ({ sdsConfig: _, ...rest }) => rest)
}

function map(object: JsonObject, change: (object: JsonObject) => JsonObject): JsonObject {
  const go = (value: Json): Json => {
    if (Array.isArray(value)) return value.map(go)
    return isObject(value) ? map(value, change) : value
  }
  return Object.fromEntries(Object.entries(change(object)).map(([key, value]) => [key, go(value)]))
}
