/**
 * Flights under way by their store key. No JavaScript `Map`: where entries come and go quickly V8 replaces its tables all
 * the time, and a table that grew old keeps alive everything that stood in it, with the whole Check behind it, until the
 * next full collection.
 */

/** A power of two, and more than are under way by default (`maxInFlight` and `maxWaiting`). */
const CHAINS = 2048

export interface Keyed<Self> {
  readonly key: string
  next: Self | undefined
}

export class Flights<Flight extends Keyed<Flight>> {
  private readonly chains: (Flight | undefined)[] = new Array<Flight | undefined>(CHAINS).fill(undefined)

  get(key: string): Flight | undefined {
    let flight = this.chains[chainOf(key)]
    while (flight !== undefined && flight.key !== key) flight = flight.next
    return flight
  }

  /** Throws where there is one of the same key: each must be found by its own. */
  add(flight: Flight): void {
    if (this.get(flight.key) !== undefined) throw new Error('a flight of this key is under way')
    const chain = chainOf(flight.key)
    flight.next = this.chains[chain]
    this.chains[chain] = flight
  }

  /** Nothing happens where it has left already: another of the same key may have taken its place. */
  remove(flight: Flight): void {
    const chain = chainOf(flight.key)
    let before: Flight | undefined
    let at = this.chains[chain]
    while (at !== undefined && at !== flight) {
      before = at
      at = at.next
    }
    if (at === undefined) return
    if (before === undefined) this.chains[chain] = flight.next
    else before.next = flight.next
    flight.next = undefined
  }
}

/** Store keys are hexadecimal digits of a digest: the first four say enough. */
function chainOf(key: string): number {
  let number = 0
  for (let index = 0; index < 4; index += 1) number = number * 19 + (key.charCodeAt(index) || 0)
  return number & (CHAINS - 1)
}
