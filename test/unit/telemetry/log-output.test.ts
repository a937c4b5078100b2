import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Writable } from 'node:stream'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { systemClock } from '../../../src/clock.ts'
import { createLogOutput } from '../../../src/telemetry/log-output.ts'
import { createFakeClock } from '../../support/clock.ts'

const LINE = `${'x'.repeat(999)}\n`

/** A stream that fails while `broken`, as standard output does: it is not destroyed by it. */
function breakable() {
  const written: string[] = []
  const state = { broken: true, attempts: 0 }
  const stream = new Writable({
    decodeStrings: false,
    // lib/internal/bootstrap/switches/is_main_thread.js: `dummyDestroy` of process.stdout.
    destroy(this: Writable & { _undestroy?: () => void }, error, done) {
      done(error)
      this._undestroy?.()
    },
    write(chunk: string, _encoding, done) {
      state.attempts += 1
      if (state.broken) return done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
      written.push(chunk)
      done()
    },
  })
  return { stream, state, written }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('log output', () => {
  it('whose reader never reads holds a mebibyte of 100,000 lines, and not more', async () => {
    const reader = spawn('sleep', ['60'], { stdio: ['pipe', 'ignore', 'ignore'] })
    const notes: string[] = []
    const output = createLogOutput(reader.stdin, { clock: systemClock, note: (text) => notes.push(text) })
    for (let line = 0; line < 100_000; line += 1) {
      output.write(LINE)
      if (line % 1000 === 0) await turn()
    }
    expect(reader.stdin.writableLength).to.be.within(1024 * 1024 - LINE.length, 1024 * 1024 + LINE.length)
    expect(notes).to.deep.equal(['log lines are not read and are dropped'])
    const startedAt = performance.now()
    await output.drained(50)
    expect(performance.now() - startedAt).to.be.within(45, 5_000)
    reader.kill()
    await once(reader, 'exit')
  })

  it('that breaks is not written to for a second, is said once, and the lines lost are said when it works again', async () => {
    const clock = createFakeClock()
    const notes: string[] = []
    const { stream, state, written } = breakable()
    const output = createLogOutput(stream, { clock, note: (text) => notes.push(text) })
    for (let line = 0; line < 10; line += 1) {
      output.write('a\n')
      await turn()
    }
    expect(state.attempts).to.equal(1)
    clock.advance(1_000)
    output.write('b\nb\n')
    await turn()
    expect(state.attempts).to.equal(2)
    state.broken = false
    clock.advance(1_000)
    output.write('c\n')
    output.write('d\n')
    await turn()
    const [lost, ...rest] = written.join('').split('\n')
    expect(JSON.parse(lost ?? '')).to.include({ event: 'log_lines_lost', level: 'warn', lines: 12 })
    expect(output.linesLost).to.equal(12)
    expect(rest).to.deep.equal(['c', 'd', ''])
    expect(notes).to.deep.equal(['log lines cannot be written and are dropped (EPIPE)'])
  })

  it('is drained at once where all is written, and where it is broken', async () => {
    const { stream, state } = breakable()
    const output = createLogOutput(stream, { clock: createFakeClock(), note: () => undefined })
    // The clock stands: only the stream can end the wait.
    await output.drained(1_000)
    state.broken = false
    output.write('a\n')
    await output.drained(1_000)
  })
})
