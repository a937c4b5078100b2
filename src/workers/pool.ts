/** Keeps as many workers alive as were asked for: starts, watches, replaces, reconfigures and ends them. */
import type { Socket } from 'node:net'
import type { Clock, Log } from '../authz/ports.ts'
import { createHandOver } from './hand-over.ts'
import type { ToPrimary, ToWorker } from './messages.ts'
import { restartPauseMs } from './restart-pause.ts'
import { packSetup, type Setup } from './setup.ts'
import { begun, createSlot, isServing, type Slot, START_MS, settle, until } from './slot.ts'
import { startWorkerProcess, type WorkerProcess } from './worker-process.ts'

const BEAT_MS = 1_000
/** From here on it hangs: whoever waits for it has long given up, and is served elsewhere once its connections are closed. */
const STUCK_AFTER_BEATS = 5
/** A new configuration is in force within this, or the worker is replaced by one that begins with it. */
const SWAP_MS = 20_000
/** For the last lines of a worker that was told to end. */
const END_MS = 500

export type WorkerEnd = 'crashed' | 'stuck'

export interface PoolOptions {
  readonly workers: number
  /** How many listeners connections come from. */
  readonly listeners: number
  /** What is in force at this moment. */
  readonly setup: () => Setup
  readonly clock: Clock
  readonly log: Log
  readonly writeLog: (lines: string) => void
  /** A worker's question about the own token. */
  readonly answerOwnToken: (
    message: Extract<ToPrimary, { kind: 'own_token_ask' }>,
    answer: (message: ToWorker) => void,
  ) => void
  /** One that was ready has ended, and is about to be replaced. */
  readonly lost: (worker: WorkerProcess, end: WorkerEnd) => void
}

export interface Member {
  /** From 1; a worker that replaces another has its number. */
  readonly worker: number
  readonly process: WorkerProcess
  readonly restarts: number
}

export interface Pool {
  /** Resolves when all are ready, or some while others fail to start again and again; rejects where none can. */
  start(): Promise<void>
  give(connection: Socket, listener: number): void
  /** Resolves when every worker has the setup in force, or is being replaced by one that has. */
  reconfigure(): Promise<void>
  tell(message: ToWorker): void
  /** Those that are ready. */
  members(): readonly Member[]
  /** Calls in flight finish within `timeoutMs`; what still runs a moment later is killed. */
  drain(timeoutMs: number): Promise<void>
  /** At once. */
  stop(): Promise<void>
}

export function createPool(options: PoolOptions): Pool {
  const { clock, log } = options
  const slots = Array.from({ length: options.workers }, (_, index) => createSlot(index + 1))
  const handOver = createHandOver(slots, options.listeners)
  let ending = false

  // However this process ends: a worker that hangs does not notice that its channel is closed.
  const killAll = (): void => {
    for (const { process } of slots) process?.kill()
  }
  process.once('exit', killAll)

  function begin(slot: Slot): void {
    const { worker } = slot
    const process = startWorkerProcess({
      number: worker,
      clock,
      heard: (message) => hear(slot, process, message),
      notReceived: handOver.give,
      writeLog: options.writeLog,
    })
    slot.process = process
    slot.generation = undefined
    slot.stuck = false
    const cancel = clock.after(START_MS, () => {
      if (slot.process !== process || slot.generation !== undefined) return
      log.error('worker_start_timeout', { worker, pid: process.pid })
      process.kill()
    })
    void process.ended.then((ending) => {
      cancel()
      end(slot, process, ending)
    })
  }

  function hear(slot: Slot, process: WorkerProcess, message: ToPrimary): void {
    if (slot.process !== process) return
    switch (message.kind) {
      case 'hello':
        process.send({ kind: 'setup', setup: packSetup(options.setup()) })
        return
      case 'ready':
        ready(slot, process, message.generation)
        return
      case 'refused':
        // It was good for the primary: a worker of its own state is replaced by one without.
        log.error('worker_setup_failed', { worker: slot.worker, pid: process.pid })
        process.kill()
        return
      case 'own_token_ask':
        options.answerOwnToken(message, process.send)
        return
      case 'beat':
      case 'received':
      case 'closed':
      case 'answer':
        return
      default:
        message satisfies never
    }
  }

  function ready(slot: Slot, process: WorkerProcess, generation: number): void {
    const isFirst = slot.generation === undefined
    slot.generation = generation
    settle(slot)
    if (!isFirst) return
    // A reload came between.
    const newest = options.setup()
    if (generation < newest.generation) process.send({ kind: 'setup', setup: packSetup(newest) })
    slot.readyAtMs = clock.monotonicMs()
    log.info('worker_started', { worker: slot.worker, pid: process.pid, restarts: slot.restarts })
    handOver.resume()
  }

  function end(slot: Slot, process: WorkerProcess, { code, signal }: { code?: unknown; signal?: unknown }): void {
    const livedMs = slot.generation === undefined ? 0 : clock.monotonicMs() - slot.readyAtMs
    const pause = restartPauseMs(slot.soonEnded, livedMs)
    slot.process = undefined
    slot.generation = undefined
    slot.soonEnded = pause.soonEnded
    settle(slot)
    if (ending) return
    slot.restarts += 1
    const reason: WorkerEnd = slot.stuck ? 'stuck' : 'crashed'
    const { worker } = slot
    log.error('worker_ended', { worker, pid: process.pid, reason, code, signal, nextStartInMs: pause.ms })
    options.lost(process, reason)
    if (pause.ms === 0) begin(slot)
    else
      clock.after(pause.ms, () => {
        if (!ending) begin(slot)
      })
  }

  /** By count, not by clock: after the machine was suspended, everybody gets the same number of chances. */
  function beat(): void {
    clock.after(BEAT_MS, beat)
    for (const slot of slots) {
      const { process } = slot
      if (process === undefined || slot.generation === undefined) continue
      if (process.missedBeats >= STUCK_AFTER_BEATS && !slot.stuck) {
        slot.stuck = true
        log.error('worker_stuck', { worker: slot.worker, pid: process.pid, missedBeats: process.missedBeats })
        process.kill()
      } else process.beat()
    }
  }

  const processes = (): WorkerProcess[] => slots.flatMap(({ process }) => (process === undefined ? [] : [process]))

  const members = (): Member[] =>
    slots.flatMap(({ worker, process, generation, restarts }) =>
      process === undefined || generation === undefined ? [] : [{ worker, process, restarts }],
    )

  async function endAll(message: ToWorker, withinMs: number): Promise<void> {
    ending = true
    handOver.end()
    const all = processes()
    for (const process of all) process.send(message)
    const cancel = clock.after(withinMs, () => {
      for (const process of all) process.kill()
    })
    await Promise.all(all.map(({ closed }) => closed))
    cancel()
    process.off('exit', killAll)
  }

  return {
    async start() {
      for (const slot of slots) begin(slot)
      await Promise.all(slots.map((slot) => begun(slot, clock)))
      if (!slots.some(isServing)) {
        await endAll({ kind: 'stop' }, END_MS)
        throw new Error('a worker process could not start, none of them: worker_ended in the log says how each ended')
      }
      handOver.begin()
      beat()
    },
    give: handOver.give,
    async reconfigure() {
      const setup = options.setup()
      const packed = packSetup(setup)
      await Promise.all(
        slots.map(async (slot) => {
          const { process } = slot
          // One that is about to start asks for what is in force then.
          if (process === undefined || slot.generation === undefined) return
          process.send({ kind: 'setup', setup: packed })
          const inForce = await until(slot, clock, SWAP_MS, (generation) => generation >= setup.generation)
          if (!inForce && slot.process === process) process.kill()
        }),
      )
    },
    tell(message) {
      for (const process of processes()) process.send(message)
    },
    members,
    drain: (timeoutMs) => endAll({ kind: 'drain', timeoutMs }, timeoutMs + END_MS),
    stop: () => endAll({ kind: 'stop' }, END_MS),
  }
}
