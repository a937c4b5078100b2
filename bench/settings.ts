/**
 * What Node's own settings do to a memory hit: CPU time and resident memory of the sidecar with 10,000 tokens, and the
 * floor on grpc-js with the same setting. Every process gets its share of each round.
 */
import { checkRequests, checkTarget, encodeCheck, tokenOf } from './checks.ts'
import { sendOneCheck } from './load/one-check.ts'
import { type Saturated, saturate } from './load/saturate.ts'
import { pinSelfToLoadCore } from './machine/cores.ts'
import { residentBytes } from './machine/cpu.ts'
import { type BenchOptions, type BenchResult, runBench } from './report/bench.ts'
import { median } from './report/statistics.ts'
import { provideCli } from './servers/build.ts'
import { IMAGE, type NodeSettings, SMALL } from './servers/node-settings.ts'
import { startSidecar } from './servers/sidecar.ts'
import { startFloor, startKeyManager } from './servers/start.ts'

interface Setting extends NodeSettings {
  readonly name: string
}

/** The image's, but for a young generation of so many MB, a heap that grows by so much, so many threads of V8's. */
const like = (mb: number, growth: number, threads = 2): NodeSettings => ({
  flags: [
    `--max-semi-space-size=${mb}`,
    `--min-semi-space-size=${mb}`,
    `--heap-growing-percent=${growth}`,
    `--v8-pool-size=${threads}`,
  ],
  env: IMAGE.env,
})

const SETTINGS: readonly Setting[] = [
  { name: "Node's own", flags: [], env: {} },
  { name: 'the image', ...IMAGE },
  { name: 'the image without MALLOC_ARENA_MAX', flags: IMAGE.flags, env: {} },
  { name: 'young generation 4 MB', ...like(4, 50) },
  { name: 'young generation 8 MB: the image once more', ...like(8, 50) },
  { name: 'young generation 16 MB', ...like(16, 50) },
  { name: 'heap grows by 100 %', ...like(8, 100) },
  { name: 'heap grows by 200 %', ...like(8, 200) },
  { name: 'one thread for V8', ...like(8, 50, 1) },
  { name: 'four threads for V8 (as Node has)', ...like(8, 50, 4) },
  { name: 'four threads for V8, heap grows by 100 %', ...like(8, 100, 4) },
  { name: 'small profile', ...SMALL },
]

interface Contender {
  readonly pid: number
  readonly port: number
  readonly rounds: Saturated[]
  /** Every token different; the floor has none. */
  readonly misses: Saturated[]
}

const residentOf = ({ pid }: Contender): number => residentBytes(pid) / 1e6

async function benchSettings({ quick, say }: BenchOptions): Promise<BenchResult> {
  pinSelfToLoadCore()
  const rounds = quick ? 1 : 5
  const perRound = quick ? 500 : 40_000
  const only = process.env['SETTINGS']
  const cli = provideCli(quick)
  const keyManager = await startKeyManager()
  const requests = checkRequests(quick ? 100 : 10_000)
  const pairs: { readonly name: string; readonly sidecar: Contender; readonly floor: Contender }[] = []
  for (const { name, flags, env } of quick ? SETTINGS.slice(0, 2) : SETTINGS) {
    if (only !== undefined && !only.split(',').some((part) => name.includes(part))) continue
    const sidecar = await startSidecar({ cli, introspectUrl: keyManager.url, node: { flags, env } })
    const reply = await sendOneCheck(sidecar.port, encodeCheck(tokenOf(0)))
    const floor = await startFloor('grpc-js, our codec', reply, { node: { flags, env } })
    pairs.push({ name, sidecar: { ...sidecar, rounds: [], misses: [] }, floor: { ...floor, rounds: [], misses: [] } })
  }
  for (let round = 0; round <= rounds; round += 1) {
    for (const { pid, port, rounds: measured } of pairs.flatMap(({ sidecar, floor }) => [sidecar, floor])) {
      const result = await saturate({ pid, target: checkTarget(port), requests, total: perRound, by: 'own' })
      // The first round warms up.
      if (round > 0) measured.push(result)
    }
    say(`hits, round ${round} of ${rounds}`)
  }
  const resident = new Map(pairs.flatMap(({ sidecar, floor }) => [sidecar, floor]).map((one) => [one, residentOf(one)]))
  // They drive the remembered tokens out, so they come last.
  let nextToken = requests.length
  for (let round = 0; round <= rounds; round += 1) {
    for (const { sidecar } of pairs) {
      const cold = checkRequests(perRound / 4, nextToken)
      nextToken += cold.length
      const target = checkTarget(sidecar.port)
      const result = await saturate({ pid: sidecar.pid, target, requests: cold, total: cold.length, by: 'own' })
      if (round > 0) sidecar.misses.push(result)
    }
    say(`misses, round ${round} of ${rounds}`)
  }
  const cpu = ({ rounds: measured }: Pick<Contender, 'rounds'>): number =>
    median(measured.map((round) => round.cpuMicrosEach))
  const rows = pairs.map(({ name, sidecar, floor }) => ({
    name,
    cpu: cpu(sidecar),
    missCpu: cpu({ rounds: sidecar.misses }),
    ratio: cpu(floor) / cpu(sidecar),
    resident: resident.get(sidecar) ?? Number.NaN,
    floorCpu: cpu(floor),
    floorResident: resident.get(floor) ?? Number.NaN,
  }))
  return {
    tables: [
      {
        title: `Node's settings and a memory hit, ${requests.length} tokens, medians of ${rounds} rounds`,
        columns: ['setting', 'hit us', 'miss us', 'RSS MB', 'floor us', 'floor RSS MB', 'ratio'],
        rows: rows.map((row) => [
          row.name,
          row.cpu,
          row.missCpu,
          row.resident,
          row.floorCpu,
          row.floorResident,
          row.ratio,
        ]),
      },
    ],
    figures: Object.fromEntries(
      rows.flatMap((row) => [
        [row.name, row.cpu],
        [`${row.name}, miss`, row.missCpu],
      ]),
    ),
  }
}

if (import.meta.main) await runBench('settings', benchSettings)
