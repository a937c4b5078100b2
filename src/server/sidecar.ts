/** A sidecar that runs, whether in one process or in several, and what it is started with. */
import type { Clock } from '../authz/ports.ts'
import type { Loaded } from '../config/config.ts'
import type { ReloadOutcome } from '../telemetry/label-sets.ts'

export interface Sidecar {
  readonly addresses: {
    readonly extAuthz: readonly string[]
    readonly admin: string
    readonly localAdmin: string | undefined
  }
  /** Puts the changed configuration in force; a broken file keeps the old one. Never rejects. */
  reload(): Promise<ReloadOutcome>
  /** Readiness fails, `drainDelay` passes, what is in flight finishes within `drainTimeout`; then everything is closed. */
  drain(): Promise<void>
  /** At once. */
  stop(): Promise<void>
}

export interface SidecarStart {
  /** A configuration that can be used. */
  readonly loaded: Extract<Loaded, { readonly ok: true }>
  /** Reads it again, from the same places. */
  readonly load: () => Loaded
  readonly clock: Clock
  /** Takes one log line, newline included. */
  readonly writeLog: (line: string) => void
  /** Lines dropped behind it since the start. */
  readonly logLinesLost: () => number
}
