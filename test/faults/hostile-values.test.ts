import { monitorEventLoopDelay } from 'node:perf_hooks'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { type Pair, startPair } from '../support/pair.ts'

/** Envoy's default for all headers of a request. */
const LONGEST = 60 * 1024
/** Not how fast: one pass over 60 KiB takes less than 1 ms, a search once for each character several seconds. */
const FAR_TOO_LONG_MS = 1000

const RULES = `
[[policy.rules]]
paths = ["/orders/*", "/orders/special"]
methods = ["GET"]
requiredScopes = ["orders:read"]
`
const FILLERS = [
  ',',
  ' ',
  '\t',
  '=',
  ';',
  '/',
  '%',
  '%2',
  '%2e',
  '.',
  '..',
  '-',
  '"',
  '\\',
  '0',
  'a',
  'a=1,',
  ', ',
  '\u00a0',
  'é',
]
const BEGINNINGS = ['', 'Basic ', 'Bearer ', 'bearer', 'a=1']
const ENDINGS = ['', 'b', ' b', '=', ',']
const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

describe('values as long as Envoy lets through', () => {
  let pair: Pair
  beforeEach(async () => {
    pair = await startPair({ toml: RULES })
    pair.keyManager.answer({ body: { active: false } })
  })
  afterEach(() => pair.close())

  const hostile = BEGINNINGS.flatMap((beginning) =>
    FILLERS.flatMap((filler) =>
      ENDINGS.map((ending) => {
        const room = LONGEST - beginning.length - ending.length
        return beginning + filler.repeat(Math.floor(room / filler.length)) + ending
      }),
    ),
  )

  async function longestStallMs(ask: (value: string, index: number) => Promise<unknown>): Promise<number> {
    const stalls = monitorEventLoopDelay({ resolution: 10 })
    stalls.enable()
    for (const [index, value] of hostile.entries()) await ask(value, index)
    stalls.disable()
    return stalls.max / 1e6
  }

  it('of Authorization are read in one pass', async function () {
    this.timeout(60_000)
    const longest = await longestStallMs(async (value) => {
      expect((await pair.ask(value)).allowed).to.equal(false)
    })
    expect(longest).to.be.lessThan(FAR_TOO_LONG_MS)
  })

  for (const name of ['traceparent', 'tracestate', 'x-request-id', 'origin']) {
    it(`of ${name} are read in one pass`, async function () {
      this.timeout(60_000)
      const longest = await longestStallMs(async (value, index) => {
        // A token of its own: what goes to the key manager is read too.
        const headers = { traceparent: PARENT, [name]: value }
        expect((await pair.ask(`Bearer t${index}`, { headers })).allowed).to.equal(false)
      })
      expect(longest).to.be.lessThan(FAR_TOO_LONG_MS)
    })
  }

  it('of the path are read in one pass', async function () {
    this.timeout(60_000)
    const longest = await longestStallMs(async (value, index) => {
      expect((await pair.ask(`Bearer t${index}`, { path: `/orders/${value}` })).allowed).to.equal(false)
    })
    expect(longest).to.be.lessThan(FAR_TOO_LONG_MS)
  })
})
