import { expect } from 'chai'
import { describe, it } from 'mocha'
import { createBreaker } from '../../../src/net/breaker.ts'

describe('breaker', () => {
  const start = (failures = 3) => {
    let now = 0
    const states: string[] = []
    const breaker = createBreaker({ failures, openForMs: 1_000, now: () => now, onChange: (s) => states.push(s) })
    const fail = (times: number): void => {
      for (let i = 0; i < times; i++) breaker.settle(false, 'failed')
    }
    return { breaker, states, fail, move: (ms: number) => (now += ms) }
  }

  it('counts failures in a row: a good answer starts anew, a neutral one changes nothing', () => {
    const { breaker, fail } = start()
    fail(2)
    breaker.settle(false, 'works')
    fail(2)
    breaker.settle(false, 'neutral')
    expect(breaker.state).to.equal('closed')
    fail(1)
    expect(breaker.state).to.equal('open')
  })
  it('says how long it stays open', () => {
    const { breaker, fail, move } = start()
    fail(3)
    move(400)
    expect(breaker.admit()).to.deep.equal({ admitted: false, retryAfterMs: 600 })
  })
  it('admits one probe, and no second while it is out', () => {
    const { breaker, fail, move } = start()
    fail(3)
    move(1_000)
    expect(breaker.admit()).to.include({ admitted: true, probe: true })
    expect(breaker.admit()).to.deep.equal({ admitted: false, retryAfterMs: 1_000 })
  })
  it('a call sent before it opened neither closes nor prolongs it', () => {
    const { breaker, fail, move } = start()
    fail(3)
    breaker.settle(false, 'works')
    move(500)
    fail(10)
    move(500)
    expect(breaker.admit()).to.include({ admitted: true, probe: true })
  })
  it('after a neutral probe one failure opens it again', () => {
    const { breaker, fail, move, states } = start()
    fail(3)
    move(1_000)
    breaker.admit()
    breaker.settle(true, 'neutral')
    expect(breaker.admit()).to.include({ admitted: true, probe: false })
    fail(1)
    expect(states).to.deep.equal(['open', 'half_open', 'closed', 'open'])
  })
  it('calls sent before it opened do not open it again once the probe has closed it', () => {
    const { breaker, fail, move, states } = start()
    const sent = breaker.admit()
    const opening = sent.admitted ? sent.opening : Number.NaN
    fail(3)
    move(1_000)
    breaker.admit()
    breaker.settle(true, 'works')
    for (let call = 0; call < 3; call += 1) breaker.settle(false, 'failed', opening)
    expect(states).to.deep.equal(['open', 'half_open', 'closed'])
    fail(3)
    expect(breaker.state).to.equal('open')
  })
})
