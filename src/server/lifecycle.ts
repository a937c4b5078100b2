/** The process's life: signals, and what must never end it silently. */
import type { Log } from '../authz/ports.ts'

export interface LifecycleActions {
  /** SIGTERM and SIGINT: readiness fails, drain, stop. A second signal stops at once. */
  drain(): Promise<void>
  /** At once. */
  stop(): Promise<void>
  /** SIGHUP. */
  reload(): Promise<unknown>
}

/** What of `process` is used: a test hands in an emitter. */
export interface ProcessEvents {
  on(event: string, listener: (...values: unknown[]) => void): unknown
  off(event: string, listener: (...values: unknown[]) => void): unknown
}

export interface Lifecycle {
  /** Resolves with the exit code when the process should end. */
  readonly ended: Promise<number>
  /** Takes the listeners off. */
  dispose(): void
}

/**
 * Resolves `ended` with 0 after a drain, with 1 after an uncaught exception.
 * A rejection nobody handled is logged and survived: every Check has its own way to a deny.
 */
export function watchProcess(actions: LifecycleActions, log: Log, events: ProcessEvents = process): Lifecycle {
  const { promise: ended, resolve: end } = Promise.withResolvers<number>()
  let draining = false
  let failing = false

  const failed = (what: string, thrown: unknown): void => logFailure(log, what, thrown)

  function finish(work: Promise<void>, code: number): void {
    work.then(
      () => end(code),
      (thrown: unknown) => {
        failed('stop_failed', thrown)
        end(1)
      },
    )
  }

  function terminate(signal: unknown): void {
    if (draining) {
      log.warn('stopping_at_once', { signal })
      finish(actions.stop(), 0)
      return
    }
    draining = true
    log.info('draining', { signal })
    finish(actions.drain(), 0)
  }

  function hangUp(): void {
    actions.reload().catch((thrown: unknown) => failed('reload_failed', thrown))
  }

  const listeners: readonly [string, (...values: unknown[]) => void][] = [
    ['SIGTERM', terminate],
    ['SIGINT', terminate],
    ['SIGHUP', hangUp],
    ['unhandledRejection', (reason) => failed('unhandled_rejection', reason)],
    [
      'uncaughtException',
      (thrown) => {
        // Another one while it stops, perhaps out of saying so: no more is tried.
        if (failing) return end(1)
        failing = true
        failed('uncaught_exception', thrown)
        finish(actions.stop(), 1)
      },
    ],
  ]
  for (const [event, listener] of listeners) events.on(event, listener)

  return {
    ended,
    dispose() {
      for (const [event, listener] of listeners) events.off(event, listener)
    },
  }
}

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP']

/**
 * From now on no signal ends the process by itself; one that comes before somebody listens is told then. For the time in
 * which a command is loaded, and for the last moments after its listeners were taken off.
 */
export function holdSignals(events: ProcessEvents = process): ProcessEvents {
  const held = new Map<string, number>(SIGNALS.map((signal) => [signal, 0]))
  for (const signal of SIGNALS)
    events.on(signal, () => {
      const before = held.get(signal)
      if (before !== undefined) held.set(signal, before + 1)
    })
  return {
    on(event, listener) {
      events.on(event, listener)
      const arrived = held.get(event) ?? 0
      held.delete(event)
      for (let told = 0; told < arrived; told += 1) queueMicrotask(() => listener(event))
    },
    off: (event, listener) => events.off(event, listener),
  }
}

/** A worker's: Ctrl-C and a container's stop reach the whole group, but what becomes of them the primary says. */
export function ignoreSignals(events: ProcessEvents = process): void {
  for (const signal of SIGNALS) events.on(signal, () => undefined)
}

/** `fatal` after an uncaught exception; a rejection nobody handled is logged and survived. */
export function watchFailures(log: Log, fatal: () => void, events: ProcessEvents = process): void {
  let failing = false
  events.on('unhandledRejection', (reason) => logFailure(log, 'unhandled_rejection', reason))
  events.on('uncaughtException', (thrown) => {
    if (!failing) {
      failing = true
      logFailure(log, 'uncaught_exception', thrown)
    }
    fatal()
  })
}

function logFailure(log: Log, what: string, thrown: unknown): void {
  // The text of a foreign error may hold a token or secret; its name, code and place in our source do not.
  log.error(what, { error: nameOf(thrown), at: placeOf(thrown) })
}

function nameOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown
  return 'code' in thrown && typeof thrown.code === 'string' ? `${thrown.name} ${thrown.code}` : thrown.name
}

/** `file:line:column` of the first frame: the stack's first line repeats the message and is left out. */
function placeOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error)) return undefined
  return /\n\s+at [^\n]*?([\w.-]+:\d+:\d+)\)?/.exec(thrown.stack ?? '')?.[1]
}
