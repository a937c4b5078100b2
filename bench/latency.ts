/**
 * How long a remembered Check takes at a constant arrival rate: through gRPC alone beside the floors, and through a real
 * Envoy with the filter and without. Arrivals do not wait for answers, so that a stall shows in all it held up. Each line
 * says whether the generator kept its rate: it shares a core with Envoy.
 */
import { checkRequests, checkTarget, encodeCheck, tokenOf } from './checks.ts'
import { runClosedLoop } from './load/closed-loop.ts'
import type { LoadRequest, LoadTarget } from './load/connection.ts'
import { literal } from './load/frames.ts'
import { sendOneCheck } from './load/one-check.ts'
import { runOpenLoop } from './load/open-loop.ts'
import { CONNECTIONS, STREAMS } from './load/saturate.ts'
import { pinSelfToLoadCore } from './machine/cores.ts'
import { isSentLate } from './report/arrivals.ts'
import { type BenchOptions, type BenchResult, runBench } from './report/bench.ts'
import { latencies, median } from './report/statistics.ts'
import { provideCli } from './servers/build.ts'
import { startBenchEnvoy } from './servers/envoy.ts'
import { startSidecar } from './servers/sidecar.ts'
import { startFloor, startKeyManager } from './servers/start.ts'

interface Line {
  readonly name: string
  readonly target: LoadTarget
  readonly requests: readonly LoadRequest[]
  readonly perSecond: number
  readonly rounds: Round[]
}

interface Round {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly sentPerSecond: number
  readonly latenessP99: number
  /** By Envoy, in per cent: it waits 1 s for an answer, and shares a core with the generator. */
  readonly refused: number
}

/** Beyond this what is measured is something else. */
const MOST_REFUSED = 0.05

async function benchLatency({ quick, say }: BenchOptions): Promise<BenchResult> {
  pinSelfToLoadCore()
  const rounds = quick ? 1 : 5
  const seconds = quick ? 0.3 : 6
  const tokens = quick ? 50 : 10_000
  const keyManager = await startKeyManager()
  const sidecar = await startSidecar({ cli: provideCli(quick), introspectUrl: keyManager.url })
  const reply = await sendOneCheck(sidecar.port, encodeCheck(tokenOf(0)))
  const floor = await startFloor('grpc-js, our codec', reply)
  const http2 = await startFloor('node:http2', reply)
  const requests = checkRequests(tokens)
  const first = requests[0] ?? { body: Buffer.alloc(0) }
  const nextOf = (list: readonly LoadRequest[]) => (index: number) => list[index % list.length] ?? first
  const servers = [
    { name: 'sidecar', target: checkTarget(sidecar.port) },
    { name: 'floor: grpc-js, our codec', target: checkTarget(floor.port) },
    { name: 'floor: node:http2', target: checkTarget(http2.port) },
  ]

  /** Requests a second of the second of two passes: the first warms up. */
  const saturationOf = async (target: LoadTarget, list: readonly LoadRequest[]): Promise<number> => {
    const loop = {
      target,
      connections: CONNECTIONS,
      streams: STREAMS,
      total: quick ? 1000 : 60_000,
      next: nextOf(list),
    }
    await runClosedLoop(loop)
    return loop.total / (await runClosedLoop(loop)).seconds
  }
  await saturationOf(checkTarget(http2.port), requests)
  await saturationOf(checkTarget(floor.port), requests)
  const saturation = await saturationOf(checkTarget(sidecar.port), requests)
  say(`the sidecar is saturated at ${Math.round(saturation)} Checks a second`)
  const rates = [1000, 5000, Math.round(saturation * 0.8)]
  const lines: Line[] = rates.flatMap((perSecond) =>
    servers.map((server) => ({ ...server, requests, perSecond, rounds: [] })),
  )

  let envoySaturation = Number.NaN
  const withFilter = await startBenchEnvoy(sidecar.port)
  const without = await startBenchEnvoy(undefined)
  if (withFilter === undefined || without === undefined) say('no Envoy: only gRPC alone is measured')
  else {
    const calls = Array.from({ length: tokens }, (_, index) => ({
      body: Buffer.alloc(0),
      extra: literal('authorization', `Bearer ${tokenOf(index)}`),
    }))
    envoySaturation = await saturationOf(withFilter.target, calls)
    say(`Envoy with the filter is saturated at ${Math.round(envoySaturation)} requests a second`)
    // It was saturated by a generator that waits; one that keeps a rate turns without a pause on the same core.
    for (const perSecond of [1000, Math.round(envoySaturation * 0.4)]) {
      const shared = { requests: calls, perSecond }
      lines.push({ name: 'Envoy with the filter', target: withFilter.target, ...shared, rounds: [] })
      lines.push({ name: 'Envoy without it', target: without.target, ...shared, rounds: [] })
    }
  }
  const measure = async (line: Line, forSeconds: number): Promise<Round> => {
    const { target, perSecond } = line
    const next = nextOf(line.requests)
    const result = await runOpenLoop({
      target,
      connections: CONNECTIONS,
      perSecond,
      seconds: forSeconds,
      next,
      mayBeDenied: line.name === 'Envoy with the filter',
    })
    const { p99: latenessP99 } = latencies(result.latenessMs)
    return {
      ...latencies(result.latenciesMs),
      sentPerSecond: result.achievedPerSecond,
      latenessP99,
      refused: result.deniedShare * 100,
    }
  }
  for (const line of lines) await measure(line, seconds / 3)
  for (let round = 1; round <= rounds; round += 1) {
    for (const line of lines) line.rounds.push(await measure(line, seconds))
    const refused = lines.flatMap((line) => line.rounds).filter((one) => one.refused > MOST_REFUSED * 100)
    if (refused.length > 0) throw new Error(`Envoy refused ${refused[0]?.refused} % of the requests of a round`)
    say(`round ${round} of ${rounds}`)
  }
  await withFilter?.stop()
  await without?.stop()

  const of = (line: Line | undefined, figure: keyof Round): number =>
    median(line?.rounds.map((round) => round[figure]) ?? [])
  const find = (name: string, perSecond: number) => lines.find((l) => l.name === name && l.perSecond === perSecond)
  const isLate = (line: Line): boolean =>
    isSentLate({
      perSecond: line.perSecond,
      sentPerSecond: of(line, 'sentPerSecond'),
      latenessP99: of(line, 'latenessP99'),
      p99: of(line, 'p99'),
    })
  const p99 = (name: string, perSecond: number): number => of(find(name, perSecond), 'p99')
  return {
    tables: [
      {
        title: `Time from due to done, ms; medians of ${rounds} rounds of ${seconds} s, ${tokens} tokens`,
        columns: [
          'through',
          'a second',
          'p50',
          'p90',
          'p99',
          'p99.9',
          'sent a second',
          'sent late, p99',
          'generator',
          'refused %',
        ],
        rows: lines.map((line) => [
          line.name,
          line.perSecond,
          of(line, 'p50'),
          of(line, 'p90'),
          of(line, 'p99'),
          of(line, 'p999'),
          of(line, 'sentPerSecond'),
          of(line, 'latenessP99'),
          isLate(line) ? 'late' : 'in time',
          of(line, 'refused'),
        ]),
      },
    ],
    figures: {
      saturationPerSecond: saturation,
      envoySaturationPerSecond: envoySaturation,
      sentPerSecondAt1000: of(find('sidecar', 1000), 'sentPerSecond'),
      sentLateP99At1000: of(find('sidecar', 1000), 'latenessP99'),
      linesSentLate: lines.filter(isLate).length,
      p99At1000: p99('sidecar', 1000),
      floorP99At1000: p99('floor: grpc-js, our codec', 1000),
      p99At1000ToFloor: p99('sidecar', 1000) / p99('floor: grpc-js, our codec', 1000),
      envoyP99WithAt1000: p99('Envoy with the filter', 1000),
      envoyP99WithoutAt1000: p99('Envoy without it', 1000),
      envoyP50Added: of(find('Envoy with the filter', 1000), 'p50') - of(find('Envoy without it', 1000), 'p50'),
    },
    notes: [
      'Late: a fifth of the p99 or more is the time from due to sent, or a hundredth of the rate was not reached.',
    ],
  }
}

if (import.meta.main) await runBench('latency', benchLatency)
