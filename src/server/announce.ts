/** What an operator reads in the log after a start or reload: what was noticed, what is in force, how the key manager does. */
import type { Log } from '../authz/ports.ts'
import type { Config, Problem } from '../config/config.ts'
import { shownUrl } from '../config/url.ts'
import type { KeyManager } from '../keymanager/key-manager.ts'

/** Envoy's default ext_authz timeout is 200 ms: an introspection of half of that deserves a warning. */
const SLOW_PROBE_MS = 100

/** Notices, warnings, and the values that matter as they were understood. */
export function announceConfiguration(config: Config, problems: readonly Problem[], log: Log): void {
  for (const { severity, key, line, message } of problems) {
    if (severity === 'notice') log.info('config_notice', { key, line, message })
    else log.warn('config_warning', { key, line, message })
  }
  const { caching, keyManager } = config
  log.info('config_effective', {
    introspectUrl: shownUrl(keyManager.introspectUrl ?? `as ${keyManager.discoveryUrl} says`),
    authentication: keyManager.security.kind,
    grant: keyManager.security.kind === 'own_token' ? keyManager.security.ownToken.grant : undefined,
    tokenCacheExpiryMs: caching.enabled ? caching.tokenCacheExpiryMs : 0,
    inactiveExpiryMs: caching.enabled ? caching.inactiveExpiryMs : 0,
    timeoutMs: keyManager.timeoutMs,
  })
}

/** One introspection of a random token, in the background: start never waits for the key manager. */
export function announceKeyManager(config: Config, client: KeyManager, log: Log): void {
  if (!config.keyManager.startupProbe) return
  void client.probe().then(({ ok, ms, outcome, advice }) => {
    const fields = { outcome, ms: Math.round(ms), advice }
    if (!ok) log.warn('key_manager_probe', fields)
    else if (ms > SLOW_PROBE_MS) {
      log.warn('key_manager_probe', { ...fields, note: "slow: Envoy's default ext_authz timeout is 200 ms" })
    } else log.info('key_manager_probe', fields)
  })
}
