/**
 * What was decided, for people: a line per deny (per allow where asked for) and the last 200 denies for `/decisions`.
 * Product contract section 7. Request text is cut and the query dropped: it may hold a token.
 */
import type { CacheResult, CheckView, Clock, Decision, Log, Reason } from '../authz/ports.ts'

/** Longest piece of request text in a line, characters. */
const TEXT_LIMIT = 1024
const RING_SIZE = 200
const WINDOW_MS = 1000

export interface DecisionLogSettings {
  /** A line for allows too. */
  readonly allow: boolean
  /** Lines per reason and second; what is above is only counted. */
  readonly maxDenyPerSecond: number
}

/** One decision as it is logged and shown; a type, so that it passes as log fields. */
export type DecisionEntry = {
  readonly decision_id: string
  readonly decision: 'allow' | 'deny'
  readonly reason: Reason
  readonly method: string
  readonly host: string
  readonly path: string
  readonly request_id: string | undefined
  readonly cache: CacheResult
  readonly duration_ms: number
  readonly would_deny: Reason | undefined
  readonly detail: string | undefined
}

/** A remembered deny; `time` is RFC 3339, UTC. */
export type RecentDeny = DecisionEntry & { readonly time: string }

export interface DecisionLog {
  /** Never throws on account of the request; `durationMs` may be fractional. */
  record(check: CheckView, decision: Decision, decisionId: string, durationMs: number): void
  /** Settings of the newest configuration; counts of the running second are kept. */
  configure(settings: DecisionLogSettings): void
  /** The last 200 denies, newest first. */
  recent(): readonly RecentDeny[]
  find(decisionId: string): RecentDeny | undefined
  /** Writes the suppressed counts not yet written. */
  flush(): void
}

interface Window {
  readonly of: { readonly reason: Reason; readonly would_deny?: Reason }
  startedAtMs: number
  written: number
  suppressed: number
}

/** Suppression is by the monotonic clock; `time` of the ring by the wall clock. */
export function createDecisionLog(
  settings: DecisionLogSettings,
  dependencies: { readonly log: Log; readonly clock: Clock },
): DecisionLog {
  const { log, clock } = dependencies
  const denies = new Map<Reason, Window>()
  /** By the reason for which a rule with `enforce = false` would have denied: the denies' lines are theirs alone. */
  const trials = new Map<Reason, Window>()
  const ring: RecentDeny[] = []
  let next = 0
  let current = settings

  function writeSuppressed(window: Window): void {
    if (window.suppressed === 0) return
    log.info('decisions_suppressed', { ...window.of, suppressed: window.suppressed })
    window.suppressed = 0
  }

  function mayWrite(of: Window['of']): boolean {
    const nowMs = clock.monotonicMs()
    const key = of.would_deny ?? of.reason
    const windows = of.would_deny === undefined ? denies : trials
    let window = windows.get(key)
    if (window === undefined) {
      window = { of, startedAtMs: nowMs, written: 0, suppressed: 0 }
      windows.set(key, window)
    } else if (nowMs - window.startedAtMs >= WINDOW_MS) {
      writeSuppressed(window)
      window.startedAtMs = nowMs
      window.written = 0
    }
    if (window.written < current.maxDenyPerSecond) {
      window.written += 1
      return true
    }
    window.suppressed += 1
    if (window.suppressed === 1) {
      // The flood may end within this second: then nobody else would write the count.
      const closing = window
      clock.after(window.startedAtMs + WINDOW_MS - nowMs, () => writeSuppressed(closing))
    }
    return false
  }

  function remember(entry: DecisionEntry): void {
    ring[next] = { time: new Date(clock.wallMs()).toISOString(), ...entry }
    next = (next + 1) % RING_SIZE
  }

  return {
    record(check, decision, decisionId, durationMs) {
      if (!decision.allow) {
        const entry = describe(check, decision, decisionId, durationMs)
        remember(entry)
        if (mayWrite({ reason: decision.reason })) log.info('decision', entry)
        return
      }
      const wouldDeny = decision.reason === 'allowed' ? decision.wouldDeny : undefined
      const wanted =
        current.allow || (wouldDeny !== undefined && mayWrite({ reason: 'allowed', would_deny: wouldDeny }))
      if (wanted) log.info('decision', describe(check, decision, decisionId, durationMs))
    },
    configure(settings) {
      current = settings
    },
    recent() {
      const newestFirst: RecentDeny[] = []
      for (let back = 1; back <= ring.length; back += 1) {
        const entry = ring[(next - back + RING_SIZE) % RING_SIZE]
        if (entry !== undefined) newestFirst.push(entry)
      }
      return newestFirst
    },
    find: (decisionId) => ring.find((entry) => entry.decision_id === decisionId),
    flush() {
      for (const window of [...denies.values(), ...trials.values()]) writeSuppressed(window)
    },
  }
}

function describe(check: CheckView, decision: Decision, decisionId: string, durationMs: number): DecisionEntry {
  const requestId = check.header('x-request-id')
  return {
    decision_id: decisionId,
    decision: decision.allow ? 'allow' : 'deny',
    reason: decision.reason,
    method: cut(check.method),
    host: cut(check.host),
    path: cut(withoutQuery(check.path)),
    request_id: requestId === undefined ? undefined : cut(requestId),
    cache: decision.cache,
    duration_ms: Math.round(durationMs * 1000) / 1000,
    would_deny: decision.reason === 'allowed' ? decision.wouldDeny : undefined,
    detail: !decision.allow && decision.detail !== '' ? decision.detail : undefined,
  }
}

/** A query or fragment may carry `access_token=`, to servers that decode first an encoded one too. */
function withoutQuery(path: string): string {
  const end = path.search(/[?#]|%(?:3f|23)/i)
  return end < 0 ? path : copyOf(path, Math.min(end, TEXT_LIMIT + 1))
}

function cut(text: string): string {
  return text.length <= TEXT_LIMIT ? text : `${copyOf(text, TEXT_LIMIT)}...`
}

/** A slice of a 1 MiB path would keep all of it alive in the ring. */
function copyOf(text: string, end: number): string {
  return Buffer.from(text.slice(0, end), 'utf8').toString('utf8')
}
