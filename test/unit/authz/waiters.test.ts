import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect } from 'chai'
import { beforeEach, describe, it } from 'mocha'
import { type Answers, createAnswers, type Found } from '../../../src/authz/answers.ts'
import type { Cancellation, Interest, Introspected } from '../../../src/authz/ports.ts'
import { keyOf } from '../../support/authz.ts'
import { createFakeClock, type FakeClock } from '../../support/clock.ts'

interface Call {
  readonly interest: Interest
  readonly answer: (outcome: Introspected) => void
}

describe('who waits for one call', () => {
  const key = keyOf('token')
  let clock: FakeClock
  let calls: Call[]
  let introspect: (token: string, interest: Interest) => Promise<Introspected>
  let answers: Answers

  beforeEach(() => {
    clock = createFakeClock()
    calls = []
    introspect = (_, interest) => new Promise((answer) => calls.push({ interest, answer }))
    const cache = { peek: () => undefined, load: undefined, remember() {} }
    const metrics = { cacheOperation() {}, waiterJoined() {} }
    const life = { activeLifeMs: 60_000, inactiveLifeMs: 1_000, timestampSkewMs: 0 }
    const introspector = { introspect: (token: string, interest: Interest) => introspect(token, interest) }
    answers = createAnswers({ cache, introspector, clock, metrics }, life)
  })

  interface Asked {
    readonly cancellation: Cancellation
    /** Undefined until it is settled. */
    found: Found | undefined
    settled: number
  }

  function ask(withinMs = 1_000): Asked {
    const cancellation: Cancellation = { cancelled: false, whenCancelled: undefined }
    const asked: Asked = { cancellation, found: undefined, settled: 0 }
    void answers.ask(key, 'token', clock.monotonicMs() + withinMs, undefined, cancellation).then((found) => {
      asked.found = found
      asked.settled += 1
    })
    return asked
  }

  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const kind = ({ found }: Asked): string => {
    if (found === undefined) return 'waits'
    return found.ok ? String(found.answer.active) : found.failure.kind
  }
  const only = (): Call => {
    expect(calls).to.have.length(1)
    return calls[0] as Call
  }

  it('F27 keeps nothing of who gave up, however long the call is out', async () => {
    setFlagsFromString('--expose-gc')
    const collect: () => void = runInNewContext('gc')
    const stays = ask()
    const leave = (how: 'cancelled' | 'late'): WeakRef<Cancellation> => {
      const cancellation: Cancellation = { cancelled: false, whenCancelled: undefined }
      void answers.ask(key, 'token', clock.monotonicMs() + 10, undefined, cancellation)
      if (how === 'cancelled') cancellation.whenCancelled?.()
      return new WeakRef(cancellation)
    }
    const left = [leave('cancelled'), leave('late')]
    clock.advance(10)
    await turn()
    collect()
    expect(left.map((one) => one.deref())).to.deep.equal([undefined, undefined])
    only().answer({ kind: 'inactive' })
    await turn()
    expect(kind(stays)).to.equal('false')
  })

  it('each gets the answer, whoever before or behind it gave up', async () => {
    const all = Array.from({ length: 6 }, (_, index) => ask(index === 1 ? 10 : 1_000))
    all[0]?.cancellation.whenCancelled?.()
    all[3]?.cancellation.whenCancelled?.()
    all[5]?.cancellation.whenCancelled?.()
    clock.advance(10)
    await turn()
    expect(all.map(kind)).to.deep.equal(['unavailable', 'unavailable', 'waits', 'unavailable', 'waits', 'unavailable'])
    only().answer({ kind: 'inactive' })
    await turn()
    expect(all.map(kind)).to.deep.equal(['unavailable', 'unavailable', 'false', 'unavailable', 'false', 'unavailable'])
    expect(all.map(({ settled }) => settled)).to.deep.equal([1, 1, 1, 1, 1, 1])
    expect(clock.pending()).to.equal(0)
  })

  it('a queued call is dropped with its last waiter and no earlier, and the next Check makes its own', async () => {
    const [first, second] = [ask(), ask()]
    let lost = 0
    only().interest.whenLost = () => {
      lost += 1
      only().answer({ kind: 'abandoned' })
    }
    first.cancellation.whenCancelled?.()
    expect([lost, only().interest.wanted]).to.deep.equal([0, true])
    second.cancellation.whenCancelled?.()
    expect([lost, calls[0]?.interest.wanted]).to.deep.equal([1, false])
    const third = ask()
    expect(calls).to.have.length(2)
    calls[1]?.answer({ kind: 'inactive' })
    await turn()
    expect([first, second, third].map(kind)).to.deep.equal(['unavailable', 'unavailable', 'false'])
  })

  it('a call that nobody waited for is wanted again by who joins it', async () => {
    const first = ask()
    first.cancellation.whenCancelled?.()
    expect(only().interest.wanted).to.equal(false)
    const second = ask()
    expect(only().interest.wanted).to.equal(true)
    only().answer({ kind: 'inactive' })
    await turn()
    expect([first, second].map(kind)).to.deep.equal(['unavailable', 'false'])
  })

  it('who has given up counts no second time, whatever it is told', async () => {
    const [first, second] = [ask(10), ask()]
    const { whenCancelled } = first.cancellation
    clock.advance(10)
    whenCancelled?.()
    expect(first.cancellation.whenCancelled).to.equal(undefined)
    expect(only().interest.wanted).to.equal(true)
    only().answer({ kind: 'inactive' })
    await turn()
    whenCancelled?.()
    expect([first, second].map(kind)).to.deep.equal(['unavailable', 'false'])
  })

  it('a port that throws at once denies, and leaves nothing for the next Check to join', async () => {
    introspect = () => {
      throw new Error('a broken promise')
    }
    const first = ask()
    await turn()
    introspect = async () => ({ kind: 'inactive' })
    const second = ask()
    await turn()
    expect([first, second].map(kind)).to.deep.equal(['malformed', 'false'])
    expect(clock.pending()).to.equal(0)
  })
})
