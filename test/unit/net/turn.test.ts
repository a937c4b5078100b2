import { expect } from 'chai'
import { describe, it } from 'mocha'
import { createTurn } from '../../../src/net/turn.ts'

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('what arrives in one turn', () => {
  it('is handed on in order, each to its own, at the end of the turn and not before', async () => {
    const handOn = createTurn<number>()
    const seen: string[] = []
    for (const name of ['a', 'b', 'c'])
      handOn((result) => seen.push(`${name}${result}`), seen.length + name.charCodeAt(0))
    await Promise.resolve()
    expect(seen).to.deep.equal([])
    await nextTurn()
    expect(seen).to.deep.equal(['a97', 'b98', 'c99'])
  })

  it('waits for the next one where it arrives while others are handed on', async () => {
    const handOn = createTurn<string>()
    const seen: string[] = []
    handOn((first) => {
      handOn((second) => seen.push(second), 'second')
      seen.push(first)
    }, 'first')
    await nextTurn()
    expect(seen).to.deep.equal(['first'])
    await nextTurn()
    expect(seen).to.deep.equal(['first', 'second'])
    await nextTurn()
    expect(seen).to.deep.equal(['first', 'second'])
  })
})
