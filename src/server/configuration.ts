/** The configuration in force: loaded once, loaded again on SIGHUP or where its files change, never replaced by a broken one. */
import type { Clock, Log } from '../authz/ports.ts'
import type { Config, Loaded } from '../config/config.ts'
import { ConfigurationError } from '../config/configuration-error.ts'
import type { Effective } from '../config/effective.ts'
import { watchFiles } from '../config/watch.ts'
import type { KeyManager } from '../keymanager/key-manager.ts'
import type { ReloadOutcome } from '../telemetry/label-sets.ts'
import { announceConfiguration, announceKeyManager } from './announce.ts'
import { needsRestart } from './listeners.ts'

export interface ConfigurationInForce {
  readonly restartRequired: boolean
  /** ISO 8601. */
  readonly loadedAt: string
  /** Key by key, with its sources. */
  effective(): Effective
  /** One at a time; a broken file keeps the old configuration. Never rejects. */
  reload(): Promise<ReloadOutcome>
  /** Its files are no longer watched. */
  close(): void
}

export interface ConfigurationOptions {
  /** What the process started with: the listeners that are bound. */
  readonly loaded: Extract<Loaded, { readonly ok: true }>
  readonly load: () => Loaded
  /** Puts it in force and returns the client of its key manager. Throws or rejects where that fails: then nothing has changed. */
  readonly apply: (next: Config) => KeyManager | Promise<KeyManager>
  readonly metrics: { reload(outcome: ReloadOutcome, wallMs: number): void; configLoaded(wallMs: number): void }
  readonly log: Log
  readonly clock: Clock
}

/** Watches its files from now on, against what was in them when they were loaded. */
export function keepConfiguration(options: ConfigurationOptions): ConfigurationInForce {
  const { loaded, load, apply, metrics, log, clock } = options
  let { effective, files } = loaded
  let restartRequired = false
  let loadedAt = new Date(clock.wallMs()).toISOString()
  let last: Promise<unknown> = Promise.resolve()
  let closed = false
  let unwatch: () => void = () => undefined
  watch(files, loaded.content)

  function reload(): Promise<ReloadOutcome> {
    const done = last.then(async () => {
      const outcome = await swap()
      metrics.reload(outcome, clock.wallMs())
      return outcome
    })
    last = done
    return done
  }

  function watch(watched: readonly string[], content?: string): void {
    unwatch()
    if (!closed) unwatch = watchFiles(watched, () => void reload(), clock, content)
  }

  async function swap(): Promise<ReloadOutcome> {
    try {
      const next = load()
      // Before anything can fail or last: a file that only a refused one names may come, any may change meanwhile.
      watch([...new Set([...files, ...next.files])])
      if (!next.ok) throw new ConfigurationError(next.problems)
      const client = await apply(next.config)
      effective = next.effective
      files = next.files
      watch(files, next.content)
      restartRequired = needsRestart(loaded.config, next.config)
      const nowMs = clock.wallMs()
      loadedAt = new Date(nowMs).toISOString()
      // Where listeners wait for a restart too: all else is in force.
      metrics.configLoaded(nowMs)
      announceConfiguration(next.config, next.problems, log)
      log.info('config_reloaded', { restartRequired })
      announceKeyManager(next.config, client, log)
      return restartRequired ? 'restart_required' : 'success'
    } catch (error) {
      const problems = error instanceof ConfigurationError ? error.problems : undefined
      log.error('config_reload_failed', {
        problems: problems?.filter((problem) => problem.severity === 'error'),
        // What is not ours is named, never quoted: a foreign text may hold a secret.
        error: problems === undefined && error instanceof Error ? error.name : undefined,
        note: 'the old configuration stays in force',
      })
      return 'failure'
    }
  }

  return {
    get restartRequired() {
      return restartRequired
    },
    get loadedAt() {
      return loadedAt
    },
    effective: () => effective(),
    reload,
    close() {
      closed = true
      unwatch()
    },
  }
}
