/**
 * Gives each connection to one of the workers. Envoy holds few connections and keeps them for long, so it matters who
 * gets which: see `choose`.
 */
import type { Socket } from 'node:net'
import { isReady, isServing, type Slot } from './slot.ts'
import type { WorkerProcess } from './worker-process.ts'

/** Connections that wait for a worker: at the start, and while there is none. */
const MOST_PARKED = 1_024

export interface HandOver {
  /** Until `begin` all wait: the first worker that is ready would have all of them. */
  give(connection: Socket, listener: number): void
  /** All have started that can. */
  begin(): void
  /** A worker is there again: who waits is given. */
  resume(): void
  /** Who waits is turned away, and who comes. */
  end(): void
}

/** `listeners`: how many connections come from. */
export function createHandOver(slots: readonly Slot[], listeners: number): HandOver {
  const workers = slots.length
  const parked: { readonly connection: Socket; readonly listener: number }[] = []
  let starting = true
  let ending = false
  let last = 0

  /**
   * With several listeners each belongs to some of the workers: a caller that spreads its calls over the addresses
   * spreads them over the workers. Among those, and where they do not serve among all, the one with the fewest
   * connections; of equals the next in turn.
   */
  function choose(listener: number): WorkerProcess | undefined {
    const serving = candidates()
    const own = serving.filter(({ worker }) =>
      listeners <= workers ? (worker - 1) % listeners === listener : listener % workers === worker - 1,
    )
    const among = own.length > 0 ? own : serving
    const turn = ({ worker }: Slot): number => (worker - 1 - last + workers) % workers
    const [chosen] = among.toSorted(
      (a, b) => (a.process?.connections ?? 0) - (b.process?.connections ?? 0) || turn(a) - turn(b),
    )
    if (chosen !== undefined) last = chosen.worker % workers
    return chosen?.process
  }

  /**
   * Where all are late (a machine without time for them), those that have been for the least: who comes back serves what
   * it was given meanwhile, and what one that hangs never received comes back when it is killed.
   */
  function candidates(): readonly Slot[] {
    const serving = slots.filter(isServing)
    if (serving.length > 0) return serving
    const late = slots.filter(isReady)
    const missed = ({ process }: Slot): number => process?.missedBeats ?? 0
    const fewest = Math.min(...late.map(missed))
    return late.filter((slot) => missed(slot) === fewest)
  }

  function give(connection: Socket, listener: number): void {
    const process = starting || ending ? undefined : choose(listener)
    if (process !== undefined) process.give(connection, listener)
    else if (ending || parked.length >= MOST_PARKED) connection.destroy()
    else parked.push({ connection, listener })
  }

  function resume(): void {
    if (starting) return
    for (const { connection, listener } of parked.splice(0)) give(connection, listener)
  }

  return {
    give,
    begin() {
      starting = false
      resume()
    },
    resume,
    end() {
      ending = true
      for (const { connection } of parked.splice(0)) connection.destroy()
    },
  }
}
