/**
 * The Checks that wait for an answer, in the order of their arrival. Links, not a JavaScript `Set`: for the reason given
 * in `authz/flights.ts`. Who leaves lets go of its neighbours, so that nothing old holds on to what came after it.
 */

export interface Waiting<Answer> {
  /** What is returned calls `settle` the first time, and never again. */
  add(settle: (answer: Answer) => void): (answer: Answer) => void
  settleAll(answer: Answer): void
  size(): number
}

interface Place<Answer> {
  settle: ((answer: Answer) => void) | undefined
  before: Place<Answer> | undefined
  after: Place<Answer> | undefined
}

export function createWaiting<Answer>(): Waiting<Answer> {
  let first: Place<Answer> | undefined
  let last: Place<Answer> | undefined
  let size = 0

  function leave(place: Place<Answer>): void {
    if (place.before === undefined) first = place.after
    else place.before.after = place.after
    if (place.after === undefined) last = place.before
    else place.after.before = place.before
    place.before = undefined
    place.after = undefined
    size -= 1
  }

  function settle(place: Place<Answer>, answer: Answer): void {
    const run = place.settle
    if (run === undefined) return
    place.settle = undefined
    leave(place)
    run(answer)
  }

  return {
    add(run) {
      const place: Place<Answer> = { settle: run, before: last, after: undefined }
      if (last === undefined) first = place
      else last.after = place
      last = place
      size += 1
      return (answer) => settle(place, answer)
    },
    settleAll(answer) {
      while (first !== undefined) settle(first, answer)
    },
    size: () => size,
  }
}
