import { expect } from 'chai'
import { describe, it } from 'mocha'
import { createLog, type LogLevel } from '../../../src/telemetry/log.ts'

function logging(level: LogLevel = 'debug') {
  const lines: string[] = []
  const clock = { wallMs: () => 0, monotonicMs: () => 0, after: () => () => {} }
  return { lines, log: createLog({ level, write: (line) => lines.push(line), clock }) }
}

describe('the log', () => {
  it('writes one JSON object a line, by the clock it was given', () => {
    const { log, lines } = logging()
    log.info('started', { port: 9001 })
    expect(lines).to.deep.equal(['{"level":"info","time":"1970-01-01T00:00:00.000Z","port":9001,"event":"started"}\n'])
  })

  it('F38 keeps one event on one line, whatever it holds', () => {
    const { log, lines } = logging()
    log.warn('odd', { path: 'a\n{"level":"info"}\r\u001b[31m\u0000' })
    expect(lines).to.have.length(1)
    const controls = [...(lines[0] ?? '')].filter((character) => character < ' ')
    expect(controls).to.deep.equal(['\n'])
    expect(JSON.parse(lines[0] ?? '')).to.include({ path: 'a\n{"level":"info"}\r\u001b[31m\u0000' })
  })

  it('F32 never unfolds an error', () => {
    const { log, lines } = logging()
    log.error('failed', { err: new Error('canary'), error: new Error('canary') })
    expect(lines.join('')).not.to.contain('canary')
  })

  it('changes its level at once', () => {
    const { log, lines } = logging('warn')
    log.info('not_seen')
    log.setLevel('info')
    log.info('seen')
    expect(lines).to.have.length(1)
  })
})
