/** One worker as the primary sees it: started, spoken to, given connections, ended. */
import { ChildProcess, fork } from 'node:child_process'
import type { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../authz/ports.ts'
import { workerEnvironment, workerFlags } from './environment.ts'
import type { Answers, ToPrimary, ToWorker } from './messages.ts'
import { forwardLines } from './whole-lines.ts'

/** Both run: the source as it is, and what is built from it. */
const CLI = fileURLToPath(new URL(import.meta.filename.endsWith('.ts') ? '../cli.ts' : '../cli.js', import.meta.url))

/** A worker that does not answer within this is left out of what is merged. */
const ANSWER_MS = 1_000

export interface Ending {
  /** Its exit status; where it could not be started, the name of the system error. */
  readonly code: number | string | undefined
  readonly signal: string | undefined
}

export interface WorkerProcess {
  readonly pid: number
  /** Connections it was given and has not reported closed. */
  readonly connections: number
  /** How many heartbeats in a row it has not answered. */
  readonly missedBeats: number
  send(message: ToWorker): void
  give(connection: Socket, listener: number): void
  /** Undefined where it does not answer in time, or has ended. */
  ask<What extends keyof Answers>(what: What, detail?: string): Promise<Answers[What] | undefined>
  beat(): void
  kill(): void
  readonly ended: Promise<Ending>
  /** After its last line was passed on. */
  readonly closed: Promise<void>
}

export interface WorkerProcessOptions {
  /** From 1. */
  readonly number: number
  readonly clock: Clock
  /** Everything but heartbeats, answers, and what becomes of connections. */
  readonly heard: (message: ToPrimary) => void
  /** It has ended, and never had this connection: not a byte of it was read. */
  readonly notReceived: (connection: Socket, listener: number) => void
  /** Whole lines, line feeds included. */
  readonly writeLog: (lines: string) => void
}

export function startWorkerProcess({
  number,
  clock,
  heard,
  notReceived,
  writeLog,
}: WorkerProcessOptions): WorkerProcess {
  const child = forked(number)
  // What cannot be said to a worker that is ending is told by its end.
  child.on('error', () => undefined)
  // Undefined, whatever its type says, where no descriptor was left to start one with.
  if (child.stdout) forwardLines(child.stdout, writeLog)
  const questions = new Map<number, (answer: Answers[keyof Answers] | undefined) => void>()
  let lastQuestion = 0
  /**
   * Kept open here until the worker says that it has them. Node hands over one at a time, and where a worker hangs and
   * ends it closes neither that one nor those behind it.
   */
  const unreceived = new Map<number, { readonly connection: Socket; readonly listener: number }>()
  let lastGiven = 0
  let connections = 0
  let missedBeats = 0

  const ended = new Promise<Ending>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code: code ?? undefined, signal: signal ?? undefined }))
    // A process that could not be started never exits.
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (child.pid === undefined) resolve({ code: error.code, signal: undefined })
    })
  })
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', () => child.pid === undefined && resolve())
  })
  void ended.then(() => {
    for (const answer of questions.values()) answer(undefined)
    questions.clear()
  })
  // Not before the last word of the worker was heard, which may be that it received one.
  void closed.then(() => {
    for (const { connection, listener } of unreceived.values()) notReceived(connection, listener)
    unreceived.clear()
  })

  child.on('message', (received) => {
    // Its own program sent it, over a channel nobody else holds.
    const message = received as ToPrimary
    switch (message.kind) {
      case 'beat':
        missedBeats = 0
        closeLost(message.given)
        return
      case 'received':
        // Our descriptor alone: the connection stays open as long as the worker has its own.
        unreceived.get(message.id)?.connection.destroy()
        unreceived.delete(message.id)
        return
      case 'closed':
        connections -= 1
        return
      case 'answer': {
        const answer = questions.get(message.id)
        questions.delete(message.id)
        answer?.(message.answer)
        return
      }
      default:
        heard(message)
    }
  })

  /** A worker without a free descriptor gets neither the connection nor the message, and Node tells nobody. */
  const closeLost = (given: number): void => {
    for (const [id, { connection }] of unreceived) {
      if (id > given) return
      connection.destroy()
      unreceived.delete(id)
      connections -= 1
    }
  }

  const send = (message: ToWorker): void => {
    if (child.connected) child.send(message, () => undefined)
  }

  return {
    pid: child.pid ?? 0,
    get connections() {
      return connections
    },
    get missedBeats() {
      return missedBeats
    },
    send,
    give(connection, listener) {
      connections += 1
      lastGiven += 1
      unreceived.set(lastGiven, { connection, listener })
      const message: ToWorker = { kind: 'connection', id: lastGiven, listener }
      if (child.connected) child.send(message, connection, { keepOpen: true }, () => undefined)
    },
    ask<What extends keyof Answers>(what: What, detail = ''): Promise<Answers[What] | undefined> {
      return new Promise((resolve) => {
        if (!child.connected) return resolve(undefined)
        lastQuestion += 1
        const id = lastQuestion
        const cancel = clock.after(ANSWER_MS, () => {
          questions.delete(id)
          resolve(undefined)
        })
        questions.set(id, (answer) => {
          cancel()
          // The worker answers what it was asked.
          resolve(answer as Answers[What] | undefined)
        })
        send({ kind: 'ask', id, what, detail })
      })
    },
    beat() {
      missedBeats += 1
      send({ kind: 'beat', given: lastGiven })
    },
    kill: () => void child.kill('SIGKILL'),
    ended,
    closed,
  }
}

/** One that cannot be started is told by 'error', also where Node throws instead. */
function forked(number: number): ChildProcess {
  try {
    return fork(CLI, ['worker', String(number)], {
      serialization: 'advanced',
      env: workerEnvironment(process.env),
      execArgv: workerFlags(process.execArgv),
      // Its lines come through here: two processes that write to one pipe tear lines longer than PIPE_BUF apart.
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    })
  } catch (error) {
    const none = new ChildProcess()
    process.nextTick(() => none.emit('error', error))
    return none
  }
}
