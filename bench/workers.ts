/**
 * Two workers beside one: Checks a second and CPU time for each Check, of memory hits, in turn and several times.
 * A load generator needs a core as well: where there are not three, both share the server's core with nobody else, and
 * what two cost beyond one is all that can be said.
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

interface Round {
  readonly perSecond: number
  /** Of all processes of the sidecar, for one Check. */
  readonly micros: number
}

interface Contender {
  readonly workers: number
  readonly sidecar: Sidecar
  /** All of its processes. */
  readonly pids: readonly number[]
  readonly rounds: Round[]
}

async function benchWorkers({ quick, say }: BenchOptions): Promise<BenchResult> {
  pinSelfToLoadCore()
  const rounds = quick ? 1 : 5
  const perRound = quick ? 2000 : 30_000
  const keyManager = await startKeyManager()
  const cli = provideCli(quick)
  const contenders: Contender[] = []
  for (const workers of [1, 2]) {
    const set = [`extAuthz.workers=${workers}`]
    const sidecar = await startSidecar({
      cli,
      introspectUrl: keyManager.url,
      set,
      core: HAS_THE_CORES ? 'any' : SERVER_CORE,
    })
    // Each has a memory of its own: as many connections as reach all of them.
    for (let i = 0; i < CONNECTIONS; i += 1) await sendOneCheck(sidecar.port, encodeCheck(tokenOf(0)))
    contenders.push({ workers, sidecar, pids: [sidecar.pid, ...(await workersOf(sidecar))], rounds: [] })
  }
  for (const contender of contenders) await measure(contender, quick ? 500 : 20_000)
  for (let round = 1; round <= rounds; round += 1) {
    for (const contender of contenders) contender.rounds.push(await measure(contender, perRound))
    say(`round ${round} of ${rounds}`)
  }
  const [one, two] = contenders
  const ratio = (of: (round: Round) => number): number =>
    median((two?.rounds ?? []).map((round, index) => of(round) / of(one?.rounds[index] ?? round)))
  const figures = {
    oneMicros: median((one?.rounds ?? []).map(({ micros }) => micros)),
    twoMicros: median((two?.rounds ?? []).map(({ micros }) => micros)),
    cpuRatio: ratio(({ micros }) => micros),
    throughputRatio: ratio(({ perSecond }) => perSecond),
    cores: CORES,
  }
  const table = {
    title: `Memory hits, medians of ${rounds} rounds of ${perRound} Checks over ${CONNECTIONS} connections`,
    columns: ['workers', 'Checks/s', 'CPU us/Check', 'Checks/s of as many whole cores', 'RSS MB, all processes'],
    rows: contenders.map(({ workers, pids, rounds }) => {
      const micros = median(rounds.map((round) => round.micros))
      const resident = pids.reduce((sum, pid) => sum + residentBytes(pid), 0) / 1e6
      return [workers, median(rounds.map(({ perSecond }) => perSecond)), micros, (workers * 1e6) / micros, resident]
    }),
  }
  for (const { sidecar } of contenders) await sidecar.stop()
  await keyManager.stop()
  return {
    tables: [table],
    figures,
    notes: [
      `CPU time for a Check of two workers, to one: ${figures.cpuRatio.toFixed(2)}; so two whole cores would serve ${(2 / figures.cpuRatio).toFixed(2)} times as much as one.`,
      HAS_THE_CORES
        ? `Throughput of two workers, to one: ${figures.throughputRatio.toFixed(2)}.`
        : `This machine has ${CORES} cores, and the load generator needs one: all workers shared the other. Throughput there, of two to one: ${figures.throughputRatio.toFixed(2)}.`,
    ],
  }
}

async function measure({ sidecar, pids }: Contender, total: number): Promise<Round> {
  const request = checkRequest(tokenOf(0))
  const used = (): number => pids.reduce((sum, pid) => sum + cpuMicros(pid), 0)
  const before = used()
  const target = checkTarget(sidecar.port)
  const loop = { target, connections: CONNECTIONS, streams: STREAMS, total, next: () => request }
  const { seconds, bad } = await runClosedLoop(loop)
  if (bad > 0) throw new Error(`${bad} of ${total} replies were not an allow`)
  return { perSecond: total / seconds, micros: (used() - before) / total }
}

async function workersOf(sidecar: Sidecar): Promise<readonly number[]> {
  const read: unknown = await (await fetch(`http://127.0.0.1:${sidecar.localAdminPort}/status`)).json()
  const workers: readonly unknown[] = Object(read).workers ?? []
  return workers.map((worker) => Number(Object(worker).pid))
}

if (import.meta.main) await runBench('workers', benchWorkers)
