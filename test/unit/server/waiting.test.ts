import { expect } from 'chai'
import { describe, it } from 'mocha'
import { createWaiting } from '../../../src/server/waiting.ts'

describe('waiting checks', () => {
  it('settles each once, by itself or with all the others', () => {
    const waiting = createWaiting<string>()
    const settled: string[] = []
    const settle = ['a', 'b', 'c', 'd'].map((name) => waiting.add((answer) => settled.push(`${name} ${answer}`)))
    expect(waiting.size()).to.equal(4)
    settle[1]?.('alone')
    settle[1]?.('again')
    settle[3]?.('alone')
    settle[0]?.('alone')
    expect(waiting.size()).to.equal(1)
    waiting.settleAll('stopped')
    for (const one of settle) one('late')
    expect(settled).to.deep.equal(['b alone', 'd alone', 'a alone', 'c stopped'])
    expect(waiting.size()).to.equal(0)
  })

  it('settles in the order of arrival, those too that come meanwhile', () => {
    const waiting = createWaiting<string>()
    const settled: string[] = []
    waiting.add((answer) => {
      settled.push(`first ${answer}`)
      waiting.add((later) => settled.push(`third ${later}`))
    })
    waiting.add((answer) => settled.push(`second ${answer}`))
    waiting.settleAll('stopped')
    expect(settled).to.deep.equal(['first stopped', 'second stopped', 'third stopped'])
    expect(waiting.size()).to.equal(0)
  })

  it('is usable where settling throws', () => {
    const waiting = createWaiting<string>()
    const settle = waiting.add(() => {
      throw new Error('refused')
    })
    expect(() => settle('now')).to.throw('refused')
    expect(waiting.size()).to.equal(0)
    settle('again')
  })
})
