/**
 * Every token different: what one introspection costs the sidecar, with a key manager that answers at once and one that
 * takes 20 ms, beside what a hit costs and what the bare HTTP client costs on its own. All run with the same settings of
 * Node and live from the first round to the last, and as many calls warm the client up as the sidecar.
 */
import { checkRequest, checkRequests, checkTarget, encodeCheck, tokenOf } from './checks.ts'
import { runClosedLoop } from './load/closed-loop.ts'
import { sendOneCheck } from './load/one-check.ts'
import { pinSelfToLoadCore } from './machine/cores.ts'
import { cpuMicros } from './machine/cpu.ts'
import { type BenchOptions, type BenchResult, runBench } from './report/bench.ts'
import { latencies, median } from './report/statistics.ts'
import { provideCli } from './servers/build.ts'
import { SET_BY_SERVE, sidecarSettings } from './servers/node-settings.ts'
import { startSidecar } from './servers/sidecar.ts'
import { startBareClient, startFloor, startKeyManager } from './servers/start.ts'

/** Checks under way: as many as the sidecar has introspections at once by default. */
const CONNECTIONS = 2
const STREAMS = 32
/** V8 goes on optimising the path of a miss for some 40,000 of them. */
const WARM_UP = 40_000

interface Round {
  readonly cpuMicrosEach: number
  readonly perSecond: number
  readonly connectionsPerThousand: number
  readonly p50: number
  readonly p99: number
}

async function benchMiss({ quick, say }: BenchOptions): Promise<BenchResult> {
  pinSelfToLoadCore()
  const rounds = quick ? 1 : 7
  const perRound = quick ? 300 : 10_000
  const warmUp = quick ? 100 : WARM_UP
  const cli = provideCli(quick)
  let nextToken = 1

  const { flags, env } = sidecarSettings()
  const node = { flags: [...flags, SET_BY_SERVE], env }

  const open = async (delayMs: number) => {
    const keyManager = await startKeyManager(delayMs)
    const sidecar = await startSidecar({ cli, introspectUrl: keyManager.url })
    const bareClient = await startBareClient(keyManager.url, node)
    return { keyManager, sidecar, bareClient, rounds: [] as Round[], delayMs }
  }
  type Side = Awaited<ReturnType<typeof open>>
  const load = async (
    { sidecar, keyManager }: Side,
    total: number,
    isHit: boolean,
    streams = STREAMS,
  ): Promise<Round> => {
    const requests = isHit ? [checkRequest(tokenOf(0))] : checkRequests(total, nextToken)
    if (!isHit) nextToken += total
    const first = requests[0] ?? checkRequest(tokenOf(0))
    const before = { cpu: cpuMicros(sidecar.pid), ...(await keyManager.figures()) }
    const next = (index: number) => requests[index % requests.length] ?? first
    const target = checkTarget(sidecar.port)
    const result = await runClosedLoop({ target, connections: CONNECTIONS, streams, total, next })
    const cpu = cpuMicros(sidecar.pid) - before.cpu
    const { introspections, connections } = await keyManager.figures()
    if (!isHit && introspections - before.introspections !== total) throw new Error('a miss was none')
    // The question itself comes on one connection.
    const opened = connections - before.connections - 1
    const { p50, p99 } = latencies(result.latenciesMs)
    const perThousand = (opened / total) * 1000
    return {
      cpuMicrosEach: cpu / total,
      perSecond: total / result.seconds,
      connectionsPerThousand: perThousand,
      p50,
      p99,
    }
  }

  const prompt = await open(0)
  const slow = await open(20)
  const reply = await sendOneCheck(prompt.sidecar.port, encodeCheck(tokenOf(0)))
  const floor = await startFloor('grpc-js, our codec', reply, { node, introspectUrl: prompt.keyManager.url })
  const floorMicros: number[] = []
  const loadFloor = async (total: number): Promise<number> => {
    const before = cpuMicros(floor.pid)
    const next = () => checkRequest(tokenOf(0))
    const target = checkTarget(floor.port)
    await runClosedLoop({ target, connections: CONNECTIONS, streams: STREAMS, total, next })
    return (cpuMicros(floor.pid) - before) / total
  }
  const hits: Round[] = []
  /** What it costs not to be read and answered together with others, as where the key manager takes its time. */
  const lonelyHits: Round[] = []
  const bare: number[] = []
  const slowBare: number[] = []
  for (const side of [prompt, slow]) {
    await load(side, warmUp, false)
    await side.bareClient.micros(warmUp)
  }
  await loadFloor(warmUp)
  await load(prompt, quick ? 100 : 30_000, true)
  for (let round = 1; round <= rounds; round += 1) {
    hits.push(await load(prompt, perRound * 3, true))
    lonelyHits.push(await load(prompt, perRound, true, 1))
    for (const side of [prompt, slow]) side.rounds.push(await load(side, perRound, false))
    floorMicros.push(await loadFloor(perRound))
    bare.push(await prompt.bareClient.micros(perRound))
    slowBare.push(await slow.bareClient.micros(perRound))
    say(`round ${round} of ${rounds}`)
  }
  const of = (list: readonly Round[], figure: keyof Round): number => median(list.map((round) => round[figure]))
  const ratioOf = (side: Side, calls: readonly number[]): number =>
    median(
      side.rounds.map((r, i) => r.cpuMicrosEach / ((hits[i]?.cpuMicrosEach ?? Number.NaN) + (calls[i] ?? Number.NaN))),
    )
  const row = (name: string, list: readonly Round[], ratio: number) => [
    name,
    of(list, 'cpuMicrosEach'),
    of(list, 'perSecond'),
    of(list, 'p50'),
    of(list, 'p99'),
    of(list, 'connectionsPerThousand'),
    ratio,
  ]
  const lone = (name: string, micros: number) => [name, micros, '-', '-', '-', '-', '-']
  const figures = {
    hitMicros: of(hits, 'cpuMicrosEach'),
    lonelyHitMicros: of(lonelyHits, 'cpuMicrosEach'),
    bareClientMicros: median(bare),
    missMicros: of(prompt.rounds, 'cpuMicrosEach'),
    missFloorMicros: median(floorMicros),
    missToHitPlusBare: ratioOf(prompt, bare),
    slowMissMicros: of(slow.rounds, 'cpuMicrosEach'),
    slowBareClientMicros: median(slowBare),
    slowMissToHitPlusBare: ratioOf(slow, slowBare),
    connectionsPerThousand: of(prompt.rounds, 'connectionsPerThousand'),
    slowConnectionsPerThousand: of(slow.rounds, 'connectionsPerThousand'),
  }
  return {
    tables: [
      {
        title: `Misses, ${CONNECTIONS * STREAMS} Checks under way, medians of ${rounds} rounds of ${perRound}`,
        columns: [
          'what',
          'CPU us/Check',
          'Checks/s',
          'p50 ms',
          'p99 ms',
          'connections per 1,000',
          'to hit + bare client',
        ],
        rows: [
          row('hit', hits, Number.NaN),
          row('hit, one at a time on each connection', lonelyHits, Number.NaN),
          lone('bare undici Pool, one call, key manager at once', figures.bareClientMicros),
          row('miss, key manager at once', prompt.rounds, figures.missToHitPlusBare),
          lone('floor: grpc-js and undici, constant reply, key manager at once', figures.missFloorMicros),
          lone('bare undici Pool, one call, key manager after 20 ms', figures.slowBareClientMicros),
          row('miss, key manager after 20 ms', slow.rounds, figures.slowMissToHitPlusBare),
        ],
      },
    ],
    figures,
    notes: [`Node's settings of all of them: ${node.flags.join(' ')}`],
  }
}

if (import.meta.main) await runBench('miss', benchMiss)
