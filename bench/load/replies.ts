/** The replies a loop waits for: how many there were, and that all of them came and were what they should be. */
import type { Clock } from '../../src/authz/ports.ts'
import { systemClock } from '../../src/clock.ts'

/** No server of a bench takes so long: one that says nothing meanwhile is dead. */
export const SILENCE_MS = 30_000

export interface ExpectedReplies {
  readonly total: number
  /** Default: false, the loop fails where one is not the expected reply. */
  readonly mayBeDenied?: boolean
  readonly clock?: Clock
}

export interface Replies {
  /** Denied, refused or cut off, once all have ended. Rejects where there may be none, and where nothing ends for 30 s. */
  readonly denied: Promise<number>
  count(ok: boolean): void
  isOver(): boolean
}

export function expectReplies({ total, mayBeDenied = false, clock = systemClock }: ExpectedReplies): Replies {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  let ended = 0
  let denied = 0
  let isOver = false
  const end = (settle: () => void): void => {
    isOver = true
    cancel()
    settle()
  }
  const watch = (seen: number): (() => void) =>
    clock.after(SILENCE_MS, () => {
      if (ended > seen) cancel = watch(ended)
      else end(() => reject(new Error(`${ended} of ${total} replies, then none for ${SILENCE_MS / 1000} s`)))
    })
  let cancel = watch(0)
  return {
    denied: promise,
    count(ok) {
      ended += 1
      if (!ok) denied += 1
      if (ended < total || isOver) return
      if (denied === 0 || mayBeDenied) end(() => resolve(denied))
      else end(() => reject(new Error(`${denied} of ${total} replies were not an allow`)))
    },
    isOver: () => isOver,
  }
}
