/** The configuration in force key by key, for people: what counts, and who wrote it. */
import { joinHostPort } from './address.ts'
import type { Config } from './config.ts'
import { formatDuration } from './duration.ts'
import { isReference } from './references.ts'
import type { Row } from './schema.ts'
import { describeValue, SETTABLE, type Settings } from './settings.ts'
import type { Source } from './written.ts'

const PORT = 'b7a.observability.metrics.prometheus.port'

export interface EffectiveValue {
  /** Dotted key path. */
  readonly key: string
  /** As it would be written; secrets are masked. */
  readonly value: string
  /** Undefined: the default. */
  readonly source: Source | undefined
  /** Where the source says that the value stands elsewhere: `@file:{...}` or `@env:{...}`; never what is encrypted. */
  readonly reference: string | undefined
}

/** All of them, and the file that was read. */
export interface Effective {
  readonly file: string
  readonly values: readonly EffectiveValue[]
}

/** Every key that is used and has a value, in the order of the documentation. */
export function effectiveValues(settings: Settings, config: Config): readonly EffectiveValue[] {
  const rows = SETTABLE.filter((row) => row.status === 'used')
  return rows.flatMap((row) => {
    const value = valueInForce(row, settings, config)
    if (value === undefined) return []
    const writer = writerOf(row.path, settings)
    const source = writer === undefined ? undefined : settings.source(writer)
    const reference = writer === undefined ? undefined : referenceOf(settings.raw(writer))
    return [{ key: row.path, value, source, reference }]
  })
}

/** As it would be written; undefined where there is none, or another key counts. `config`: undefined where it is not usable. */
export function valueInForce(row: Row, settings: Settings, config: Config | undefined): string | undefined {
  if (isReplaced(row.path, settings)) return undefined
  const ruled = config === undefined ? undefined : valueByRule(row.path, config)
  if (ruled !== undefined) return ruled
  return settings.value(row.path) === undefined ? undefined : describeValue(settings, row)
}

function isReplaced(path: string, settings: Settings): boolean {
  if (path === PORT) return settings.isWritten('admin.listen')
  if (path !== 'keyManager.serverUrl' && path !== 'keyManager.tokenContext') return false
  return ['introspectUrl', 'discoveryUrl'].some((name) => settings.isWritten(`keyManager.${name}`))
}

/** Keys whose value another one brings where they are absent. */
const STAND_INS: Readonly<Record<string, string>> = {
  'keyManager.timestampSkew': 'server.timestampSkew',
  'admin.listen': PORT,
}

function writerOf(path: string, settings: Settings): string | undefined {
  return [path, STAND_INS[path]].find((one) => one !== undefined && settings.isWritten(one))
}

/** Values that rules change after reading. */
function valueByRule(
  path: string,
  { policy, keyManager, caching, admin, upstreamHeaders }: Config,
): string | undefined {
  switch (path) {
    case 'policy.rules':
      return policy.rules.length === 0 ? undefined : policy.rules.map(({ name }) => name).join(', ')
    case 'keyManager.timestampSkew':
      return formatDuration(keyManager.timestampSkewMs)
    case 'keyManager.external':
      return 'true'
    case 'caching.enabled':
      return String(caching.enabled)
    case 'keyManager.security.basic.enabled':
      return String(keyManager.security.kind !== 'none' && keyManager.security.kind !== 'own_token')
    case 'admin.listen':
      return JSON.stringify(joinHostPort(admin.listen))
    case PORT:
      return String(admin.listen.port)
    case 'upstreamHeaders':
      return JSON.stringify(Object.fromEntries(upstreamHeaders.map(({ header, claim }) => [header, claim])))
    default:
      return undefined
  }
}

function referenceOf(raw: unknown): string | undefined {
  if (typeof raw !== 'string' || !isReference(raw)) return undefined
  return raw.startsWith('@encrypted:') ? '@encrypted:{...}' : raw
}
