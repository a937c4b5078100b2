/**
 * Composition root: loads the configuration and builds what serves it, in one process or in several.
 * Each kind is imported when it is asked for: the process above the workers needs no gRPC.
 */
import { availableParallelism } from 'node:os'
import type { Clock } from './authz/ports.ts'
import { systemClock } from './clock.ts'
import type { Config, Loaded } from './config/config.ts'
import { ConfigurationError } from './config/configuration-error.ts'
import { loadConfig } from './config/load.ts'
import type { Sidecar, SidecarStart } from './server/sidecar.ts'

export interface AppOptions {
  /** Undefined: /etc/micro-gw-authz/micro-gw.conf. */
  readonly configFile: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  /** Dotted key path to value; stronger than environment and file. */
  readonly flags?: Readonly<Record<string, string>>
  readonly clock?: Clock
  /** Takes one log line, newline included. */
  readonly writeLog: (line: string) => void
  /** Lines that were dropped behind it, for the metric; default: none. */
  readonly logLinesLost?: (() => number) | undefined
}

export type App = Sidecar

/** Rejects with ConfigurationError, or with an Error that names the address that cannot be bound. */
export async function startApp(options: AppOptions): Promise<App> {
  const load = (): Loaded =>
    loadConfig({
      file: options.configFile,
      env: options.env,
      ...(options.flags === undefined ? {} : { flags: options.flags }),
    })
  const loaded = load()
  if (!loaded.ok) throw new ConfigurationError(loaded.problems)
  const { clock = systemClock, writeLog, logLinesLost = () => 0 } = options
  const start: SidecarStart = { loaded, load, clock, writeLog, logLinesLost }
  const workers = workersOf(loaded.config)
  if (workers === 1) return (await import('./single.ts')).startSingle(start)
  return (await import('./workers/primary.ts')).startPrimary(start, workers)
}

const MOST_WORKERS = 64

/** How many processes are to answer Checks. */
function workersOf({ extAuthz }: Config): number {
  return extAuthz.workers === 'auto' ? Math.min(availableParallelism(), MOST_WORKERS) : extAuthz.workers
}
