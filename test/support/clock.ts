/** A clock moved by hand: timers fire, in order, while `advance` passes their instant. */
import type { Clock } from '../../src/authz/ports.ts'

export interface FakeClock extends Clock {
  /** Moves both clocks forward and runs what falls due. */
  advance(ms: number): void
  /** Sets the wall clock alone, as NTP or an operator would. */
  setWall(ms: number): void
  /** How many timers are waiting. */
  pending(): number
}

export function createFakeClock({ wallMs = Date.UTC(2026, 0, 1), monotonicMs = 1000 } = {}): FakeClock {
  let wall = wallMs
  let monotonic = monotonicMs
  const timers = new Set<{ at: number; run: () => void }>()
  return {
    wallMs: () => wall,
    monotonicMs: () => monotonic,
    after(ms, run) {
      const timer = { at: monotonic + Math.max(0, ms), run }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    advance(ms) {
      const until = monotonic + ms
      for (;;) {
        const due = [...timers].filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at)[0]
        if (due === undefined) break
        timers.delete(due)
        wall += Math.max(0, due.at - monotonic)
        monotonic = Math.max(monotonic, due.at)
        due.run()
      }
      wall += until - monotonic
      monotonic = until
    },
    setWall(ms) {
      wall = ms
    },
    pending: () => timers.size,
  }
}
