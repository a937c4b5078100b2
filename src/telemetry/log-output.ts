/**
 * Where log lines leave the process. Who reads them may go away (EPIPE), fill the disk or fall behind: none of it may end
 * the service, hold up a Check or cost memory. Lines are dropped instead, and how many is said once there is room again.
 */
import type { Writable } from 'node:stream'
import type { Clock } from '../authz/ports.ts'

export interface LogOutput {
  /** Whole lines, line feeds included. Never throws, never waits. */
  write(lines: string): void
  /** Resolves when what was written is out, or after `withinMs`. */
  drained(withinMs: number): Promise<void>
  /** Lines dropped since the start. */
  readonly linesLost: number
}

export interface LogOutputOptions {
  readonly clock: Clock
  /** Told in words, once in a process's life, that lines are being dropped. */
  readonly note: (text: string) => void
}

/** Beyond this lines are dropped until half of it is out: some thousand lines, for a reader that pauses. */
const MOST_BUFFERED_BYTES = 1024 * 1024
/** A disk may be given room again, and somebody else may open a named pipe. */
const TRY_AGAIN_MS = 1_000

export function createLogOutput(stream: Writable, { clock, note }: LogOutputOptions): LogOutput {
  /** Not yet said in the log. */
  let lost = 0
  let lostInAll = 0
  let tryAtMs = Number.NEGATIVE_INFINITY
  let isBehind = false
  let noted = false

  function lose(lines: string): void {
    const dropped = count(lines)
    lost += dropped
    lostInAll += dropped
  }

  function noteOnce(text: string): void {
    if (noted) return
    noted = true
    note(text)
  }

  // Without a listener it would be an uncaught exception. No line about it: that one would fail as well, and so on.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    tryAtMs = clock.monotonicMs() + TRY_AGAIN_MS
    noteOnce(`log lines cannot be written and are dropped (${error.code ?? 'unknown error'})`)
  })

  function hasRoom(): boolean {
    if (clock.monotonicMs() < tryAtMs) return false
    isBehind = stream.writableLength > (isBehind ? MOST_BUFFERED_BYTES / 2 : MOST_BUFFERED_BYTES)
    if (isBehind) noteOnce('log lines are not read and are dropped')
    return !isBehind
  }

  return {
    get linesLost() {
      return lostInAll
    },
    write(lines) {
      if (!hasRoom()) {
        lose(lines)
        return
      }
      const lostBefore = lost
      lost = 0
      const text = lostBefore === 0 ? lines : lostLine(lostBefore, clock) + lines
      stream.write(text, (error) => {
        if (!error) return
        lost += lostBefore
        lose(lines)
      })
    },
    drained(withinMs) {
      return new Promise((resolve) => {
        const cancel = clock.after(withinMs, resolve)
        stream.write('', () => {
          cancel()
          resolve()
        })
      })
    },
  }
}

function count(lines: string): number {
  let found = 0
  for (let at = lines.indexOf('\n'); at >= 0; at = lines.indexOf('\n', at + 1)) found += 1
  return found
}

/** In the form of `log.ts`, which cannot be asked: it writes here. */
function lostLine(lines: number, clock: Clock): string {
  const time = new Date(clock.wallMs()).toISOString()
  return `${JSON.stringify({ level: 'warn', time, event: 'log_lines_lost', lines })}\n`
}
