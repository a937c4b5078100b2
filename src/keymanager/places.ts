/** Places for so many calls at once, and the queue of those that wait for one. */
import type { Interest, Introspected } from '../authz/ports.ts'

export interface Waiting {
  readonly token: string
  readonly interest: Interest
  readonly resolve: (outcome: Introspected) => void
}

/** Who takes a place counts itself in, and out again. */
export interface Places {
  /** Calls under way. */
  inFlight: number
  /** Each has a place as a call has: what is sent at once when the own token arrives stays bounded. */
  awaitingToken: number
  readonly waiting: number
  hasRoom(): boolean
  /** To the end of the queue; leaves it as `abandoned` when its interest is lost. */
  wait(waiting: Waiting): void
  /** As many as there is room for; what breaker or 429 refuse takes no room. */
  startWaiting(): void
}

/** `start` is called for one whose turn it is, and takes the place itself. */
export function createPlaces(maxInFlight: number, start: (waiting: Waiting) => void): Places {
  // Insertion order is the queue; leaving it from the middle costs nothing.
  const queue = new Set<Waiting>()
  let isStarting = false
  const places: Places = {
    inFlight: 0,
    awaitingToken: 0,
    get waiting() {
      return queue.size
    },
    hasRoom: () => places.inFlight + places.awaitingToken < maxInFlight,
    wait(waiting) {
      queue.add(waiting)
      waiting.interest.whenLost = () => {
        queue.delete(waiting)
        waiting.resolve({ kind: 'abandoned' })
      }
    },
    startWaiting() {
      // One that ends as it starts calls again: the loop under way goes on, and a long queue needs no deep stack.
      if (isStarting) return
      isStarting = true
      try {
        for (const waiting of queue) {
          if (!places.hasRoom()) break
          queue.delete(waiting)
          waiting.interest.whenLost = undefined
          start(waiting)
        }
      } finally {
        isStarting = false
      }
    },
  }
  return places
}
