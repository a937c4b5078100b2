import { expect } from 'chai'
import fc from 'fast-check'
import { after, before, describe, it } from 'mocha'
import { createKeyManager } from '../../src/keymanager/key-manager.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'
import { createMutant, type Spoiling } from './own-token-model/mutants.ts'
import { BROKEN, openWorld, type Setup, type Tally, type TokenAnswer, type World } from './own-token-model/world.ts'

const RUNS = 1_000
const COMMANDS = 50
/** More than enough to meet each mutant; the first failure ends it. */
const MUTANT_RUNS = 300
const LONGEST_MS = 240_000

type Command = fc.AsyncCommand<object, World>

/** The server's view is the model: a command may always run, and is over when the sockets are quiet. */
function command(name: string, act: (world: World) => void | Promise<void>): Command {
  return {
    check: () => true,
    run: async (_model, world) => {
      await act(world)
      await world.settle()
    },
    toString: () => name,
  }
}

const setups: fc.Arbitrary<Setup> = fc.record({
  grant: fc.constantFrom('client_credentials', 'password', 'direct'),
  grantKillsOlder: fc.boolean(),
  deadStatus: fc.constantFrom(401, 403),
})

const advance = fc
  .oneof(fc.integer({ min: 1, max: 10_000 }), fc.integer({ min: 1, max: 400_000 }))
  .map((ms) => command(`advance(${ms})`, (world) => world.advance(ms)))

const burst = fc.record({
  count: fc.integer({ min: 1, max: 8 }),
  afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 300_000 })),
  late: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 8 })),
  tokenLate: fc.boolean(),
})
const check = burst.map((checks) => command(`check(${JSON.stringify(checks)})`, (world) => world.check(checks)))

const answer = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        fc.constantFrom<TokenAnswer[]>(200, 200, 200, 401, 403, 503, 'invalid_grant'),
        fc.constantFrom(10, 60, 300),
      )
      .map(([kind, life]) => command(`token(${kind}, ${life} s)`, (world) => world.answerToken(kind, life))),
  },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom(200, 200, 200, 401, 403, 503)
      .map((kind) => command(`introspection(${kind})`, (world) => world.answerIntrospection(kind))),
  },
  { weight: 2, arbitrary: fc.constant(command('revoke', (world) => world.revoke())) },
)

const drop = fc
  .tuple(fc.constantFrom('token', 'introspection'), fc.integer({ min: 1, max: 3 }))
  .map(([path, count]) => command(`drop(${path} x ${count})`, (world) => world.drop(path, count)))

/** The clock moves on while the server keeps the answers: calls, then token requests run into their limits. */
const hang = fc.tuple(burst, fc.constantFrom(1_000, 2_500, 6_000)).map(([checks, ms]) =>
  command(`hang(${JSON.stringify(checks)}, ${ms})`, async (world) => {
    world.check(checks)
    await world.hang(ms)
  }),
)

/** With calls on the wire through the one before. */
const reload = fc.tuple(burst, burst).map(([first, second]) =>
  command(`reload(${JSON.stringify([first, second])})`, (world) => {
    world.check(first)
    world.reload()
    world.check(second)
  }),
)

const commands = fc.commands(
  [
    fc.oneof(
      { weight: 3, arbitrary: advance },
      { weight: 6, arbitrary: check },
      { weight: 4, arbitrary: answer },
      { weight: 1, arbitrary: drop },
      { weight: 1, arbitrary: hang },
      { weight: 1, arbitrary: reload },
    ),
  ],
  { maxCommands: COMMANDS, size: 'max' },
)

describe('property: the own token, as the key manager sees it', () => {
  let server: ScriptedKeyManager
  before(async () => {
    server = await startKeyManager()
  })
  after(() => server.close())

  const model = (create: typeof createKeyManager, tally: Tally, watched = '') =>
    fc.asyncProperty(setups, commands, async (setup, sequence) => {
      const world = openWorld(setup, create, server, tally, watched)
      try {
        await world.settle()
        await fc.asyncModelRun(() => ({ model: {}, real: world }), sequence)
      } finally {
        await world.close()
      }
    })
  const nothing = (): Tally => ({ granted: 0, refreshed: 0, introspected: 0, refused: 0, dropped: 0 })

  it('P21 P22 P23 one token request at once, no dead own token sent, no refresh token twice', async function () {
    this.timeout(LONGEST_MS + 20_000)
    const tally = nothing()
    // A failure prints the seed, the path and the shortest commands that still fail.
    await fc.assert(model(createKeyManager, tally), {
      numRuns: RUNS,
      interruptAfterTimeLimit: LONGEST_MS,
      markInterruptAsFailure: true,
    })
    for (const count of Object.values(tally)) expect(count).to.be.above(RUNS)
  })

  const mutants: Readonly<Record<string, { spoilings: readonly Spoiling[]; noticed: string }>> = {
    'no flight lock': {
      spoilings: [
        ["if (closed || state.kind === 'fetching' || state.kind === 'renewing') return", 'if (closed) return'],
        [
          "if (state.kind === 'none' || (state.kind === 'failed'",
          "if (state.kind === 'none' || state.kind === 'fetching' || (state.kind === 'failed'",
        ],
      ],
      noticed: BROKEN.concurrent,
    },
    'a rotated refresh token is ignored': {
      spoilings: [['    refreshToken = next\n', '    refreshToken ??= next\n']],
      noticed: BROKEN.refreshTwice,
    },
    'a 401 is not compared with the token sent': {
      spoilings: [['          if (state.token !== sent) return settled()\n', '']],
      noticed: BROKEN.early,
    },
    'a refused token is kept': {
      spoilings: [['          drop()\n', '']],
      noticed: BROKEN.refused,
    },
    'a new token does not take the place of the old one': {
      spoilings: [
        [
          "state = { kind: 'fresh', token, nextAtMs: clock",
          "state = { kind: 'fresh', token: state.token ?? token, nextAtMs: clock",
        ],
      ],
      noticed: BROKEN.replaced,
    },
  }
  for (const [name, { spoilings, noticed }] of Object.entries(mutants)) {
    it(`notices a mutant: ${name}`, async function () {
      this.timeout(60_000)
      const mutant = await createMutant(spoilings)
      try {
        const details = await fc.check(model(mutant.createKeyManager, nothing(), noticed), {
          numRuns: MUTANT_RUNS,
          endOnFailure: true,
        })
        expect(details.failed).to.equal(true)
        expect(String(details.errorInstance)).to.contain(noticed)
        expect(fc.defaultReportMessage(details)).to.contain(`seed: ${details.seed}`)
      } finally {
        mutant.remove()
      }
    })
  }
})
