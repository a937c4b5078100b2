/**
 * How many calls the key manager gets: for 10,000 concurrent Checks of one cold token, and for each 1,000 Checks of a
 * mixed load in which some tokens come often and most come rarely (Zipf).
 */
import { checkRequest, checkRequests, checkTarget, tokenOf } from './checks.ts'
import { runClosedLoop } from './load/closed-loop.ts'
import { createRandom, createZipf } from './load/zipf.ts'
import { pinSelfToLoadCore } from './machine/cores.ts'
import { type BenchOptions, type BenchResult, runBench } from './report/bench.ts'
import { latencies } from './report/statistics.ts'
import { provideCli } from './servers/build.ts'
import { startSidecar } from './servers/sidecar.ts'
import { startKeyManager } from './servers/start.ts'

/** Below the 1,024 streams the sidecar grants a connection. */
const STREAMS = 1000
const KEY_MANAGER_MS = 1500

async function benchHerd({ quick, say }: BenchOptions): Promise<BenchResult> {
  pinSelfToLoadCore()
  const herd = quick ? 1000 : 10_000
  const tokens = quick ? 500 : 100_000
  const checks = quick ? 3000 : 300_000
  // Slow enough that every Check of the herd has arrived before the first answer.
  const keyManagerMs = quick ? 200 : KEY_MANAGER_MS
  const keyManager = await startKeyManager(keyManagerMs)
  const sidecar = await startSidecar({
    cli: provideCli(quick),
    introspectUrl: keyManager.url,
    set: ['keyManager.timeout=5s'],
  })
  const target = checkTarget(sidecar.port)
  const cold = checkRequest(tokenOf(0))
  const stampede = await runClosedLoop({
    target,
    connections: Math.ceil(herd / STREAMS),
    streams: STREAMS,
    total: herd,
    next: () => cold,
  })
  const afterHerd = (await keyManager.figures()).introspections
  const joined = await sidecar.metric('microgw_introspection_waiters_total')
  say(`${herd} Checks of a cold token: ${afterHerd} introspections, ${joined} joined it`)
  await sidecar.stop()

  const quickKeyManager = await startKeyManager()
  const capacities = [tokens, Math.round(tokens / 10)]
  const random = createRandom(1)
  const zipf = createZipf(tokens, 1, random)
  const order = Array.from({ length: checks }, () => zipf())
  const distinct = new Set(order).size
  const requests = checkRequests(tokens)
  const mixed: { capacity: number; perThousand: number; p50: number; p99: number }[] = []
  for (const capacity of capacities) {
    const roomy = await startSidecar({
      cli: provideCli(quick),
      introspectUrl: quickKeyManager.url,
      toml: `[caching]\ntokenCacheCapacity = ${capacity}`,
    })
    const before = (await quickKeyManager.figures()).introspections
    const result = await runClosedLoop({
      target: checkTarget(roomy.port),
      connections: 4,
      streams: 32,
      total: checks,
      next: (index) => requests[order[index] ?? 0] ?? cold,
    })
    const calls = (await quickKeyManager.figures()).introspections - before
    const { p50, p99 } = latencies(result.latenciesMs)
    mixed.push({ capacity, perThousand: (calls / checks) * 1000, p50, p99 })
    say(`room for ${capacity} tokens: ${calls} introspections`)
    await roomy.stop()
  }
  return {
    tables: [
      {
        title: `${herd} concurrent Checks of one cold token, key manager after ${keyManagerMs} ms`,
        columns: ['introspections', 'Checks that joined', 'seconds'],
        rows: [[afterHerd, joined, stampede.seconds]],
      },
      {
        title: `${checks} Checks of ${tokens} tokens by Zipf's law (exponent 1), ${distinct} of them seen, from cold`,
        columns: ['room for tokens', 'introspections per 1,000 Checks', 'p50 ms', 'p99 ms'],
        rows: mixed.map((row) => [row.capacity, row.perThousand, row.p50, row.p99]),
      },
    ],
    figures: {
      herd,
      herdIntrospections: afterHerd,
      herdJoined: joined,
      zipfPerThousand: mixed[0]?.perThousand ?? Number.NaN,
      zipfPerThousandSmall: mixed[1]?.perThousand ?? Number.NaN,
      zipfDistinctPerThousand: (distinct / checks) * 1000,
    },
  }
}

if (import.meta.main) await runBench('herd', benchHerd)
