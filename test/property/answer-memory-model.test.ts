import fc from 'fast-check'
import { describe, it } from 'mocha'
import type { Claims } from '../../src/authz/ports.ts'
import { keyOf } from '../support/authz.ts'
import { World } from './answer-memory-model/world.ts'

const RUNS = 1_500
const COMMANDS = 80
const SOAK_OPERATIONS = 300_000
const SOAK_TOKENS = 3_000
const LONGEST_MS = 240_000

/** Tokens of hazard, and keys that share a bucket because they begin alike. */
const KEYS = [
  ...['a', 'b', 'c', 'd', 'e'].map((token) => keyOf(token)),
  ...['0', '1', '2', '3', 'f'].map((last) => `${keyOf('a').slice(0, 63)}${last}`),
]

interface Command {
  readonly name: string
  readonly act: (world: World) => void | Promise<void>
}

const text = fc.oneof(
  { weight: 4, arbitrary: fc.string({ maxLength: 40 }) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
)
const maybe = fc.option(text, { nil: undefined })
const json = fc.oneof(
  { weight: 4, arbitrary: fc.string({ maxLength: 600 }) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 600 }) },
  // Up to `maxAnswerSize`.
  {
    weight: 1,
    arbitrary: fc.tuple(text, fc.integer({ min: 1, max: 1600 })).map(([part, times]) => part.repeat(times)),
  },
)
const claims: fc.Arbitrary<Claims> = fc.record({
  sub: maybe,
  username: maybe,
  clientId: fc.option(fc.constantFrom('shop', 'app', ''), { nil: undefined }),
  iss: fc.option(fc.constantFrom('https://idp.example.com', ''), { nil: undefined }),
  audience: fc.oneof(fc.constantFrom([], ['api'], ['api', 'other']), fc.array(text, { maxLength: 3 })),
  scopes: fc.oneof(fc.constantFrom([], ['a'], ['a', 'b']), fc.array(text, { maxLength: 3 })),
  tokenType: fc.option(fc.constantFrom('Bearer', 'DPoP'), { nil: undefined }),
  expSec: fc.constant(undefined),
  nbfSec: fc.option(fc.integer({ min: -5, max: 1_700_000_000 }), { nil: undefined }),
  isAccessToken: fc.boolean(),
  isBound: fc.boolean(),
  json,
})

const key = fc.constantFrom(...KEYS)
const lifeMs = fc.constantFrom(0, 1, 1000, 60_000)
const life = fc.record({
  lifeMs,
  expInSec: fc.option(fc.constantFrom(0, 1, 30, 4_000_000_000), { nil: undefined }),
})
const owner = fc.constantFrom(0 as const, 1 as const)
const reply = fc.uint8Array({ maxLength: 1500 }).map((bytes) => Buffer.from(bytes))

const active = fc.tuple(key, claims, life).map(
  ([at, given, until]): Command => ({
    name: `active(${at.slice(-2)}, ${JSON.stringify(until)})`,
    act: (world) => world.rememberActive(at, given, until),
  }),
)
const inactive = fc.tuple(key, lifeMs).map(
  ([at, ms]): Command => ({
    name: `inactive(${at.slice(-2)}, ${ms})`,
    act: (world) => world.rememberInactive(at, ms),
  }),
)
const check = fc.tuple(key, owner, reply).map(
  ([at, who, bytes]): Command => ({
    name: `check(${at.slice(-2)}, ${who}, ${bytes.length})`,
    act: (world) => world.check(at, who, bytes),
  }),
)
const lookBack = fc
  .tuple(owner, reply)
  .map(([who, bytes]): Command => ({ name: `lookBack(${who})`, act: (world) => world.lookBack(who, bytes) }))
const advance = fc
  .constantFrom(1, 999, 1000, 30_000, 60_000)
  .map((ms): Command => ({ name: `advance(${ms})`, act: (world) => world.advance(ms) }))
const shiftWall = fc
  .constantFrom(-3_600_000, -1, 1, 30_000)
  .map((ms): Command => ({ name: `shiftWall(${ms})`, act: (world) => world.shiftWall(ms) }))
const reload = fc.constant<Command>({ name: 'reload', act: (world) => world.reload() })
const clear = fc.constant<Command>({ name: 'clear', act: (world) => world.clear() })

const commands = fc.oneof(
  { weight: 8, arbitrary: active },
  { weight: 3, arbitrary: inactive },
  { weight: 12, arbitrary: check },
  { weight: 3, arbitrary: lookBack },
  { weight: 3, arbitrary: advance },
  { weight: 1, arbitrary: shiftWall },
  { weight: 1, arbitrary: reload },
  { weight: 1, arbitrary: clear },
)

describe('property: the memory of answers', () => {
  it('hands out what was remembered for this very token, or nothing', async () => {
    const run = fc.asyncProperty(
      fc.integer({ min: 1, max: 6 }),
      fc.array(
        commands.map((command) => ({ ...command, toString: () => command.name })),
        {
          maxLength: COMMANDS,
          size: 'max',
        },
      ),
      async (capacity, steps) => {
        const world = new World(capacity)
        for (const { act } of steps) {
          await act(world)
          world.expectSizes()
        }
        world.expectAll(KEYS)
      },
    )
    await fc.assert(run, { numRuns: RUNS })
  }).timeout(LONGEST_MS)

  it(`holds the right bytes after ${SOAK_OPERATIONS.toLocaleString('en')} operations on many tokens`, async () => {
    const world = new World(SOAK_TOKENS / 2)
    const keys = Array.from({ length: SOAK_TOKENS }, (_, i) => keyOf(`token${i}`))
    const samples = fc.sample(fc.record({ claims, life, owner, reply }), { numRuns: 500, seed: 20_260_101 })
    let state = 1
    const next = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      return (state >>> 8) % below
    }
    for (let i = 0; i < SOAK_OPERATIONS; i++) {
      const at = keys[next(keys.length)] ?? ''
      const sample = samples[next(samples.length)]
      if (sample === undefined) continue
      const kind = next(100)
      if (kind < 30) await world.rememberActive(at, { ...sample.claims, sub: `${i}` }, sample.life)
      else if (kind < 35) await world.rememberInactive(at, sample.life.lifeMs)
      else if (kind < 97) world.check(at, 0, sample.reply)
      else if (kind < 98) world.lookBack(0, sample.reply)
      else world.advance(10)
    }
    world.reload()
    world.expectAll(keys)
  }).timeout(LONGEST_MS)
})
