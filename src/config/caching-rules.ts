/** `[caching]`. */
import type { Config } from './config.ts'
import type { Report } from './report.ts'
import { nameOf, rowOf } from './schema.ts'
import type { Settings } from './settings.ts'

/** Keys of the shared store: written with another value than the default they ask for what does not exist yet. */
const SHARED_STORE = ['store', 'storeTimeout', 'encryptionKey', 'unsealed', 'keyPrefix'].map(
  (name) => `caching.${name}`,
)

/** The memory of answers. An expiry of 0 is WSO2's way to switch it off. */
export function readCaching(settings: Settings, report: Report): Config['caching'] {
  const enabled = settings.isOn('caching.enabled')
  if (enabled && settings.durationMs('caching.staleIfError') > 0) {
    report.error('caching.staleIfError', '`staleIfError` is not supported yet. Remove the key or write "0s".')
  }
  for (const key of SHARED_STORE)
    if (enabled && asksForMore(settings, key)) {
      report.error(
        key,
        `\`${nameOf(key)}\`: a shared store is not supported yet. Remove the key; answers are remembered in memory.`,
      )
    }
  const tokenCacheExpiryMs = settings.durationMs('caching.tokenCacheExpiryTime')
  if (enabled && tokenCacheExpiryMs === 0) {
    report.notice('caching.tokenCacheExpiryTime', '0 switches the cache off: every request introspects.')
  }
  return {
    enabled: enabled && tokenCacheExpiryMs > 0,
    tokenCacheExpiryMs,
    tokenCacheCapacity: settings.integer('caching.tokenCacheCapacity'),
    inactiveExpiryMs: settings.durationMs('caching.inactiveExpiryTime'),
    inactiveCapacity: settings.integer('caching.inactiveCapacity'),
  }
}

function asksForMore(settings: Settings, key: string): boolean {
  if (!settings.isWritten(key)) return false
  const written = settings.value(key)
  const row = rowOf(key)
  return row.type === 'duration' ? written !== 20 : JSON.stringify(written) !== JSON.stringify(row.default)
}
