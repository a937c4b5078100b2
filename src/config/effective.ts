/** The configuration in force key by key, for people: what counts, and who wrote it. */
import type { Config } from './config.ts'
import { formatDuration } from './duration.ts'
import { isReference } from './references.ts'
import { describeValue, SETTABLE, type Settings } from './settings.ts'
import type { Source } from './written.ts'

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
    const source = settings.isWritten(row.path) ? settings.source(row.path) : undefined
    const ruled = valueByRule(row.path, config)
    if (source === undefined && ruled === undefined && settings.value(row.path) === undefined) return []
    const value = ruled ?? describeValue(settings, row)
    return [{ key: row.path, value, source, reference: referenceOf(settings.raw(row.path)) }]
  })
}

/** Values that rules change after reading. */
export function valueByRule(path: string, config: Config): string | undefined {
  if (path === 'policy.rules' && config.policy.rules.length > 0)
    return config.policy.rules.map(({ name }) => name).join(', ')
  if (path === 'keyManager.timestampSkew') return formatDuration(config.keyManager.timestampSkewMs)
  if (path === 'keyManager.external') return 'true'
  if (path === 'caching.enabled') return String(config.caching.enabled)
  if (path === 'keyManager.security.basic.enabled') return String(config.keyManager.security.kind === 'basic')
  return undefined
}

function referenceOf(raw: unknown): string | undefined {
  if (typeof raw !== 'string' || !isReference(raw)) return undefined
  return raw.startsWith('@encrypted:') ? '@encrypted:{...}' : raw
}
