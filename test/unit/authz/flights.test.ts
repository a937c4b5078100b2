import { expect } from 'chai'
import { describe, it } from 'mocha'
import { Flights } from '../../../src/authz/flights.ts'

interface Named {
  readonly key: string
  next: Named | undefined
}

const named = (key: string): Named => ({ key, next: undefined })

describe('flights', () => {
  it('finds each by its own key, however many share a chain', () => {
    const flights = new Flights<Named>()
    // The chain is chosen by the first characters: all of these are in one.
    const all = Array.from({ length: 50 }, (_, number) => named(`abcdef${number}`))
    for (const flight of all) flights.add(flight)
    for (const flight of all) expect(flights.get(flight.key)).to.equal(flight)
    expect(flights.get('abcdef50')).to.equal(undefined)
    expect(flights.get('')).to.equal(undefined)
  })

  it('removes from the start, the middle and the end of a chain, and lets go of the rest', () => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 0, 2],
      [1, 2, 0],
    ]) {
      const flights = new Flights<Named>()
      const all = ['abcd0', 'abcd1', 'abcd2'].map(named)
      for (const flight of all) flights.add(flight)
      const left = new Set(all)
      for (const index of order) {
        const flight = all[index]
        if (flight === undefined) throw new Error('no such flight')
        flights.remove(flight)
        left.delete(flight)
        expect(flight.next).to.equal(undefined)
        for (const other of all) expect(flights.get(other.key)).to.equal(left.has(other) ? other : undefined)
      }
    }
  })

  it('removes no other of the same key', () => {
    const flights = new Flights<Named>()
    const [first, second] = [named('abcd'), named('abcd')]
    flights.add(first)
    expect(() => flights.add(second)).to.throw('under way')
    flights.remove(first)
    flights.add(second)
    flights.remove(first)
    expect(flights.get('abcd')).to.equal(second)
  })
})
