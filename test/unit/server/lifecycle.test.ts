import { EventEmitter } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { systemClock } from '../../../src/clock.ts'
import {
  holdSignals,
  ignoreSignals,
  type LifecycleActions,
  watchFailures,
  watchProcess,
} from '../../../src/server/lifecycle.ts'
import { createLog } from '../../../src/telemetry/log.ts'

function watched(actions: Partial<LifecycleActions> = {}) {
  const events = new EventEmitter()
  const calls: string[] = []
  const lines: string[] = []
  const log = createLog({ level: 'debug', write: (line) => lines.push(line), clock: systemClock })
  const note = (name: string) => async () => {
    calls.push(name)
  }
  const all = { drain: note('drain'), stop: note('stop'), reload: note('reload'), ...actions }
  return { events, calls, lines, life: watchProcess(all, log, events) }
}

describe('the process', () => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    it(`drains on ${signal} and ends with 0`, async () => {
      const { events, calls, life } = watched()
      events.emit(signal, signal)
      expect(await life.ended).to.equal(0)
      expect(calls).to.deep.equal(['drain'])
    })
  }

  it('stops at once on a second signal', async () => {
    const { events, calls, life } = watched({ drain: () => new Promise(() => {}) })
    events.emit('SIGTERM', 'SIGTERM')
    events.emit('SIGTERM', 'SIGTERM')
    expect(await life.ended).to.equal(0)
    expect(calls).to.deep.equal(['stop'])
  })

  it('reloads on SIGHUP, and survives a reload that rejects', async () => {
    const { events, lines } = watched({ reload: () => Promise.reject(new Error('canary')) })
    events.emit('SIGHUP', 'SIGHUP')
    await nextTurn()
    expect(lines.join('')).to.contain('reload_failed').and.not.contain('canary')
  })

  it('logs an unhandled rejection without its text, and goes on', () => {
    const { events, calls, lines } = watched()
    events.emit('unhandledRejection', new TypeError('Bearer canary'))
    expect(lines.join('')).to.contain('unhandled_rejection').and.contain('TypeError').and.contain('lifecycle.test.ts')
    expect(lines.join('')).not.to.contain('canary')
    expect(calls).to.deep.equal([])
  })

  it('ends at once on a second uncaught exception, and says the first alone', async () => {
    const { events, calls, lines, life } = watched({ stop: () => new Promise(() => {}) })
    events.emit('uncaughtException', new Error('one'))
    events.emit('uncaughtException', new Error('another'))
    expect(await life.ended).to.equal(1)
    expect(calls).to.deep.equal([])
    expect(lines).to.have.length(1)
  })

  it('stops with 1 after an uncaught exception, without its text', async () => {
    const { events, calls, lines, life } = watched()
    events.emit('uncaughtException', new Error('canary'))
    expect(await life.ended).to.equal(1)
    expect(calls).to.deep.equal(['stop'])
    expect(lines.join('')).not.to.contain('canary')
  })

  it('takes its listeners off', () => {
    const { events, life } = watched()
    life.dispose()
    expect(events.eventNames()).to.deep.equal([])
  })
})

describe('signals that come before somebody listens', () => {
  it('are told once, then and afterwards, and end nothing when nobody listens any more', async () => {
    const events = new EventEmitter()
    const held = holdSignals(events)
    const told: unknown[] = []
    const listener = (signal: unknown): void => void told.push(signal)
    events.emit('SIGHUP', 'SIGHUP')
    events.emit('SIGTERM', 'SIGTERM')
    held.on('SIGTERM', listener)
    await nextTurn()
    expect(told).to.deep.equal(['SIGTERM'])
    events.emit('SIGTERM', 'SIGTERM')
    await nextTurn()
    expect(told).to.deep.equal(['SIGTERM', 'SIGTERM'])
    held.off('SIGTERM', listener)
    // Node's own way with a signal is to end the process, where it has no listener.
    expect(events.emit('SIGTERM', 'SIGTERM')).to.equal(true)
    expect(told).to.have.length(2)
  })
})

describe('a worker process', () => {
  it('survives a rejection nobody handled, and ends after an exception: both are logged without their text', () => {
    const events = new EventEmitter()
    const lines: string[] = []
    let ends = 0
    const fatal = (): void => {
      ends += 1
    }
    watchFailures(createLog({ level: 'debug', write: (line) => lines.push(line), clock: systemClock }), fatal, events)
    events.emit('unhandledRejection', new Error('canary-1'))
    expect(ends).to.equal(0)
    events.emit('uncaughtException', new TypeError('canary-2'))
    expect(ends).to.equal(1)
    expect(lines.map((line) => JSON.parse(line).event)).to.deep.equal(['unhandled_rejection', 'uncaught_exception'])
    expect(lines.join('')).not.to.include('canary')
  })

  it('leaves signals to the primary', () => {
    const events = new EventEmitter()
    ignoreSignals(events)
    // Node ends a process where nobody listens.
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) expect(events.emit(signal, signal)).to.equal(true)
  })
})
