/**
 * Workers beside one process: Checks a second and CPU time for each Check, of memory hits, in turn and several times.
 * A load generator needs a core as well. Where two workers cannot have one each beside it, all share one core: then the
 * CPU time of both for the same Checks says what two would serve, and one with the other idle what an idle worker costs.
 */
import { checkRequest, checkTarget, encodeCheck, tokenOf } from './checks.ts'
import { runClosedLoop } from './load/closed-loop.ts'
import { sendOneCheck } from './load/one-check.ts'
import { CORES, pinSelfToLoadCore, SERVER_CORE } from './machine/cores.ts'
import { cpuMicros, residentBytes } from './machine/cpu.ts'
import { type BenchOptions, type BenchResult, runBench } from './report/bench.ts'
import { median } from './report/statistics.ts'
import { provideCli } from './servers/build.ts'
import { type Sidecar, startSidecar } from './servers/sidecar.ts'
import { startKeyManager } from './servers/start.ts'

/** Whether each worker can have a core beside the one that makes the load. */
const HAS_THE_CORES = CORES > 2
/** A multiple of every number of workers. */
const CONNECTIONS = 8
const STREAMS = 16

const WAYS = [
  { name: 'one process', workers: 1, addresses: 1 },
  { name: 'two workers, one of them loaded', workers: 2, addresses: 2 },
  { name: 'two workers', workers: 2, addresses: 1 },
] as const

interface Round {
  readonly perSecond: number
  /** Of all processes of the sidecar, for one Check. */
  readonly micros: number
}

interface Contender {
  readonly name: string
  readonly sidecar: Sidecar
  /** All of its processes. */
  readonly pids: readonly number[]
  readonly rounds: Round[]
}

async function benchWorkers({ quick, say }: BenchOptions): Promise<BenchResult> {
  pinSelfToLoadCore()
  const rounds = quick ? 1 : 5
  const perRound = quick ? 2000 : 20_000
  const keyManager = await startKeyManager()
  const cli = provideCli(quick)
  const contenders: Contender[] = []
  for (const { name, workers, addresses } of WAYS) {
    const listen = Array.from({ length: addresses }, () => '127.0.0.1:0').join(',')
    const set = [`extAuthz.workers=${workers}`, `extAuthz.listen=${listen}`]
    const core = HAS_THE_CORES ? 'any' : SERVER_CORE
    const sidecar = await startSidecar({ cli, introspectUrl: keyManager.url, set, core })
    // Each has a memory of its own: as many connections as reach all of them.
    for (let i = 0; i < CONNECTIONS; i += 1) await sendOneCheck(sidecar.port, encodeCheck(tokenOf(0)))
    contenders.push({ name, sidecar, pids: [sidecar.pid, ...(await workersOf(sidecar))], rounds: [] })
  }
  for (const contender of contenders) await measure(contender, quick ? 500 : 20_000)
  for (let round = 1; round <= rounds; round += 1) {
    for (const contender of contenders) contender.rounds.push(await measure(contender, perRound))
    say(`round ${round} of ${rounds}`)
  }
  const [one, loaded, both] = contenders
  const figures = {
    oneMicros: of(one, ({ micros }) => micros),
    workerMicros: of(loaded, ({ micros }) => micros),
    twoMicros: of(both, ({ micros }) => micros),
    workerRatio: ratio(loaded, one, ({ micros }) => micros),
    cpuRatio: ratio(both, one, ({ micros }) => micros),
    throughputRatio: ratio(both, one, ({ perSecond }) => perSecond),
    projectedRatio: projectedRatio(ratio(both, one, ({ micros }) => micros)),
    cores: CORES,
  }
  const table = {
    title: `Memory hits, medians of ${rounds} rounds of ${perRound} Checks over ${CONNECTIONS} connections`,
    columns: ['sidecar', 'Checks/s', 'CPU us/Check', 'to one process', 'RSS MB, all processes'],
    rows: contenders.map((contender) => [
      contender.name,
      of(contender, ({ perSecond }) => perSecond),
      of(contender, ({ micros }) => micros),
      ratio(contender, one, ({ micros }) => micros),
      contender.pids.reduce((sum, pid) => sum + residentBytes(pid), 0) / 1e6,
    ]),
  }
  for (const { sidecar } of contenders) await sidecar.stop()
  await keyManager.stop()
  return {
    tables: [table],
    figures,
    notes: [
      HAS_THE_CORES
        ? `Throughput of two workers, to one process: ${figures.throughputRatio.toFixed(2)}.`
        : `This machine has ${CORES} cores, and the load generator needs one: all workers shared the other, so the throughput of two on two cores was not measured. By the CPU time of both it is ${figures.projectedRatio.toFixed(2)} times that of one process.`,
    ],
  }
}

const of = (one: Contender | undefined, figure: (round: Round) => number): number =>
  median((one?.rounds ?? []).map(figure))

/** What two workers with a core each serve, to one process, by the CPU time of a Check to that of one process. */
export const projectedRatio = (cpuRatio: number): number => Math.min(2, 2 / cpuRatio)

/** Each round by itself, then the median. */
function ratio(over: Contender | undefined, under: Contender | undefined, figure: (round: Round) => number): number {
  return median(
    (over?.rounds ?? []).map((round, index) => {
      const other = under?.rounds[index]
      return other === undefined ? Number.NaN : figure(round) / figure(other)
    }),
  )
}

async function measure({ sidecar, pids }: Contender, total: number): Promise<Round> {
  const request = checkRequest(tokenOf(0))
  const used = (): number => pids.reduce((sum, pid) => sum + cpuMicros(pid), 0)
  const before = used()
  const target = checkTarget(sidecar.port)
  const loop = { target, connections: CONNECTIONS, streams: STREAMS, total, next: () => request }
  const { seconds } = await runClosedLoop(loop)
  return { perSecond: total / seconds, micros: (used() - before) / total }
}

async function workersOf(sidecar: Sidecar): Promise<readonly number[]> {
  const read: unknown = await (await fetch(`http://127.0.0.1:${sidecar.localAdminPort}/status`)).json()
  const workers: readonly unknown[] = Object(read).workers ?? []
  return workers.map((worker) => Number(Object(worker).pid))
}

if (import.meta.main) await runBench('workers', benchWorkers)
