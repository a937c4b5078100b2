/** A worker's place in the pool: which process has it at the moment, how far it is, and who waits for that. */
import type { Clock } from '../authz/ports.ts'
import type { WorkerProcess } from './worker-process.ts'

/** From here on it gets no more connections, unless all are late. */
const SUSPECT_AFTER_BEATS = 2
/** A machine under load starts slowly; beyond this something is wrong. */
export const START_MS = 30_000

export interface Slot {
  /** From 1. */
  readonly worker: number
  /** Undefined between two of them. */
  process: WorkerProcess | undefined
  /** Undefined until it is ready. */
  generation: number | undefined
  readyAtMs: number
  restarts: number
  /** Ends in a row, each soon after a start. */
  soonEnded: number
  stuck: boolean
  /** Who waits for a generation, or for an end. */
  readonly waiting: Set<() => void>
}

export function createSlot(worker: number): Slot {
  return {
    worker,
    process: undefined,
    generation: undefined,
    readyAtMs: 0,
    restarts: 0,
    soonEnded: 0,
    stuck: false,
    waiting: new Set(),
  }
}

export function isReady({ process, generation }: Slot): boolean {
  return process !== undefined && generation !== undefined
}

/** Ready, and not late. */
export function isServing(slot: Slot): boolean {
  return isReady(slot) && (slot.process?.missedBeats ?? 0) < SUSPECT_AFTER_BEATS
}

/** Its generation or its process changed. */
export function settle(slot: Slot): void {
  for (const look of slot.waiting) look()
}

/** Resolves once it is ready, or has failed to become so, twice or for too long: then the others begin without it. */
export function begun(slot: Slot, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel()
      slot.waiting.delete(look)
      resolve()
    }
    const look = (): void => {
      if (slot.generation !== undefined || slot.soonEnded > 1) done()
    }
    const cancel = clock.after(START_MS, done)
    slot.waiting.add(look)
  })
}

/** Resolves with whether it came true within `ms`; false where the worker ended before. */
export function until(slot: Slot, clock: Clock, ms: number, holds: (generation: number) => boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const settled = (value: boolean): void => {
      cancel()
      slot.waiting.delete(look)
      resolve(value)
    }
    const look = (): void => {
      if (slot.process === undefined) settled(false)
      else if (slot.generation !== undefined && holds(slot.generation)) settled(true)
    }
    const cancel = clock.after(ms, () => settled(false))
    slot.waiting.add(look)
    look()
  })
}
