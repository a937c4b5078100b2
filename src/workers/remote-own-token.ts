/**
 * The own token in a worker: what the primary handed over, and questions to it where that does not serve. Who renews it,
 * and when, is the primary's business alone.
 */
import type { Clock } from '../authz/ports.ts'
import type { Held, OwnToken, Taken, Untaken } from '../keymanager/own-token.ts'
import type { PassedToken } from './messages.ts'

/** A token request is given up after 5 s: a primary that says nothing for longer than that hangs. */
const ANSWER_MS = 6_000
/** How long a worker believes that there is none: a new one is handed over when there is one. */
const LONGEST_PAUSE_MS = 1_000

export interface RemoteOwnToken extends OwnToken {
  /** The primary handed one over; undefined: the one held was refused elsewhere, it is not sent again. */
  hand(token: PassedToken | undefined): void
}

export interface RemoteOwnTokenOptions {
  readonly clock: Clock
  /** What was held when this worker was set up. */
  readonly token: PassedToken | undefined
  /** `refused`: the serial of a token that `/introspect` refused. Never rejects; need not ever resolve. */
  readonly ask: (refused: number | undefined) => Promise<PassedToken | Untaken>
}

export function createRemoteOwnToken({ clock, token, ask }: RemoteOwnTokenOptions): RemoteOwnToken {
  const serials = new WeakMap<Held, number>()
  /** By the serial that was refused, undefined for a plain question: however many calls ask, one question. */
  const asked = new Map<number | undefined, Promise<Taken>>()
  let held: Held | undefined
  let refusedUntilMs = Number.NEGATIVE_INFINITY
  let retryAtMs = Number.NEGATIVE_INFINITY
  let refusal: Untaken | undefined
  let signalObtained: () => void = () => undefined
  const obtained = new Promise<void>((resolve) => {
    signalObtained = resolve
  })

  const hand = (passed: PassedToken | undefined): void => {
    refusal = undefined
    if (passed === undefined) {
      held = undefined
      return
    }
    if (held !== undefined && serials.get(held) === passed.serial) return
    held = { value: passed.value, expiresAtMs: clock.monotonicMs() + passed.lifeMs }
    serials.set(held, passed.serial)
    signalObtained()
  }
  hand(token)

  const current = (): Taken | undefined => {
    if (held !== undefined && held.expiresAtMs > clock.monotonicMs()) return { kind: 'token', token: held }
    held = undefined
    const leftMs = refusedUntilMs - clock.monotonicMs()
    if (refusal === undefined || leftMs <= 0) return undefined
    return { ...refusal, pausedForMs: leftMs, retryAfterMs: Math.max(retryAtMs - clock.monotonicMs(), 0) }
  }

  const question = (refused: number | undefined): Promise<Taken> => {
    const under = asked.get(refused)
    if (under !== undefined) return under
    const answered = bounded(ask(refused), clock).then((answer): Taken => {
      asked.delete(refused)
      if (answer.kind === 'unavailable') {
        refusal = answer
        refusedUntilMs = clock.monotonicMs() + Math.min(answer.pausedForMs, LONGEST_PAUSE_MS)
        retryAtMs = clock.monotonicMs() + answer.retryAfterMs
        return answer
      }
      hand(answer)
      return current() ?? NOTHING
    })
    asked.set(refused, answered)
    return answered
  }

  return {
    take: () => current() ?? question(undefined),
    async refused(sent) {
      if (held !== undefined && held !== sent) return current() ?? question(undefined)
      held = undefined
      return question(serials.get(sent))
    },
    hand,
    obtained,
    status() {
      const leftMs = held === undefined ? Number.NaN : held.expiresAtMs - clock.monotonicMs()
      return {
        state: leftMs > 0 ? 'fresh' : 'none',
        expiresAt: leftMs > 0 && Number.isFinite(leftMs) ? new Date(clock.wallMs() + leftMs).toISOString() : undefined,
        nextAttemptInMs: undefined,
        lastError: refusal?.detail,
      }
    },
    // The primary renews with the newest secrets, and ends when it ends.
    use: () => undefined,
    close: () => undefined,
  }
}

const NOTHING: Untaken = {
  kind: 'unavailable',
  pausedForMs: 0,
  retryAfterMs: 0,
  detail: 'no own token: it has just expired',
}

/** A primary that does not answer must not hold up calls for ever. */
function bounded(answer: Promise<PassedToken | Untaken>, clock: Clock): Promise<PassedToken | Untaken> {
  return new Promise((resolve) => {
    const cancel = clock.after(ANSWER_MS, () =>
      resolve({
        kind: 'unavailable',
        pausedForMs: LONGEST_PAUSE_MS,
        retryAfterMs: 0,
        detail: 'no own token: the primary process does not answer',
      }),
    )
    void answer.then((passed) => {
      cancel()
      resolve(passed)
    })
  })
}
