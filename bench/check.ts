/**
 * A memory hit over real gRPC, beside servers that answer a constant: Checks a second, CPU time of the server for each,
 * ratios. All are measured in turn, several times, so that a machine that slows down slows all of them.
 */
import { checkRequest, checkRequests, checkTarget, encodeCheck, tokenOf } from './checks.ts'
import type { LoadRequest } from './load/connection.ts'
import { HAS_H2LOAD } from './load/h2load.ts'
import { sendOneCheck } from './load/one-check.ts'
import { type Saturated, saturate } from './load/saturate.ts'
import { pinSelfToLoadCore } from './machine/cores.ts'
import { residentBytes } from './machine/cpu.ts'
import { type BenchOptions, type BenchResult, runBench } from './report/bench.ts'
import { median } from './report/statistics.ts'
import { provideCli } from './servers/build.ts'
import { SET_BY_SERVE, sidecarSettings } from './servers/node-settings.ts'
import { startSidecar } from './servers/sidecar.ts'
import { type FloorKind, startFloor, startKeyManager } from './servers/start.ts'

const TOKENS = 10_000
const FLOORS: readonly FloorKind[] = ['grpc-js, our codec', 'grpc-js, loader codec', 'node:http2']

interface Contender {
  readonly name: string
  readonly pid: number
  readonly port: number
  readonly requests: readonly LoadRequest[]
  readonly by: 'h2load' | 'own'
  readonly rounds: Saturated[]
}

async function benchCheck({ quick, load, say }: BenchOptions): Promise<BenchResult> {
  pinSelfToLoadCore()
  const by = load ?? (HAS_H2LOAD ? 'h2load' : 'own')
  const rounds = quick ? 1 : 7
  const perRound = quick ? 2000 : 80_000
  const tokens = quick ? 200 : TOKENS

  const keyManager = await startKeyManager()
  const sidecar = await startSidecar({ cli: provideCli(quick), introspectUrl: keyManager.url })
  const hot = checkRequest(tokenOf(0))
  const reply = await sendOneCheck(sidecar.port, encodeCheck(tokenOf(0)))
  const many = checkRequests(tokens)

  const contenders: Contender[] = [{ name: 'hit, one token', ...sidecar, requests: [hot], by, rounds: [] }]
  for (const kind of FLOORS) {
    const floor = await startFloor(kind, reply)
    contenders.push({ name: `floor: ${kind}`, ...floor, requests: [hot], by, rounds: [] })
  }
  const { flags, env } = sidecarSettings()
  const equal = await startFloor('grpc-js, our codec', reply, { node: { flags: [...flags, SET_BY_SERVE], env } })
  contenders.push({
    name: `floor: grpc-js, our codec, Node's settings the same`,
    ...equal,
    requests: [hot],
    by,
    rounds: [],
  })
  // h2load sends one body only: both sides of this comparison come from our own generator.
  const own = { ...sidecar, by: 'own' as const }
  contenders.push({ name: 'hit, one token (own load)', ...own, requests: [hot], rounds: [] })
  contenders.push({ name: `hit, ${tokens} tokens (own load)`, ...own, requests: many, rounds: [] })

  for (const contender of contenders) await measure(contender, quick ? 500 : 40_000)
  const idle = residentBytes(sidecar.pid)
  for (let round = 1; round <= rounds; round += 1) {
    for (const contender of contenders) contender.rounds.push(await measure(contender, perRound))
    say(`round ${round} of ${rounds}`)
  }
  const resident = residentBytes(sidecar.pid)

  const [hit, codecFloor, loaderFloor, http2Floor, equalFloor, ownHit, manyHit] = contenders
  const ratio = (over: Contender | undefined, under: Contender | undefined): number => cpuRatio(over, under)
  const figures = {
    hitMicros: cpuOf(hit),
    hitPerSecond: perSecondOf(hit),
    hitToOurCodec: ratio(codecFloor, hit),
    hitToEqualSettings: ratio(equalFloor, hit),
    hitToLoaderCodec: ratio(loaderFloor, hit),
    hitToHttp2: ratio(http2Floor, hit),
    manyToOne: ratio(ownHit, manyHit),
    residentMB: resident / 1e6,
    residentAfterWarmUpMB: idle / 1e6,
    replyBytes: reply.length,
    requestBytes: encodeCheck(tokenOf(0)).length,
  }
  await keyManager.stop()
  return {
    tables: [
      {
        title: `Memory hits by ${by}, medians of ${rounds} rounds of ${perRound} Checks`,
        columns: ['server', 'Checks/s', 'CPU us/Check', 'Checks/s of a whole core', 'RSS MB'],
        rows: contenders.map((one) => [
          one.name,
          perSecondOf(one),
          cpuOf(one),
          1e6 / cpuOf(one),
          residentBytes(one.pid) / 1e6,
        ]),
      },
      {
        title: 'Checks a second of a core, as ratios (each round by itself, then the median)',
        columns: ['ratio', 'measured', 'by throughput'],
        rows: [
          ['hit to floor: grpc-js, our codec', figures.hitToOurCodec, throughputRatio(hit, codecFloor)],
          ["hit to the same, Node's settings the same", figures.hitToEqualSettings, throughputRatio(hit, equalFloor)],
          ['hit to floor: grpc-js, loader codec', figures.hitToLoaderCodec, throughputRatio(hit, loaderFloor)],
          ['hit to floor: node:http2', figures.hitToHttp2, throughputRatio(hit, http2Floor)],
          [`hit with ${tokens} tokens to hit with one`, figures.manyToOne, throughputRatio(manyHit, ownHit)],
        ],
      },
    ],
    figures,
    notes: [
      `A request has ${figures.requestBytes} bytes, a reply ${figures.replyBytes}; floors answer the same bytes.`,
    ],
  }
}

function measure({ pid, port, requests, by }: Contender, total: number): Promise<Saturated> {
  return saturate({ pid, target: checkTarget(port, deadlineMs), total, requests, by })
}

const cpuOf = (one: Contender | undefined): number => median(one?.rounds.map((round) => round.cpuMicrosEach) ?? [])
const perSecondOf = (one: Contender | undefined): number => median(one?.rounds.map((round) => round.perSecond) ?? [])

function cpuRatio(over: Contender | undefined, under: Contender | undefined): number {
  return pairwise(over, under, (round) => round.cpuMicrosEach)
}

function throughputRatio(over: Contender | undefined, under: Contender | undefined): number {
  return pairwise(over, under, (round) => round.perSecond)
}

function pairwise(over: Contender | undefined, under: Contender | undefined, of: (round: Saturated) => number): number {
  const ratios = (over?.rounds ?? []).map((round, index) => {
    const other = under?.rounds[index]
    return other === undefined ? Number.NaN : of(round) / of(other)
  })
  return median(ratios)
}

/** `BENCH_DEADLINE_MS`: send `grpc-timeout` as Envoy does. */
const deadlineMs = process.env['BENCH_DEADLINE_MS'] === undefined ? undefined : Number(process.env['BENCH_DEADLINE_MS'])

if (import.meta.main) await runBench('check', benchCheck)
