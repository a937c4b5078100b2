/**
 * Where the time of a memory hit goes: a CPU profile of the sidecar under full load, by part, file and function. And what
 * a hit and a miss allocate, beside bare servers, from V8's sampled allocations: live or collected since.
 */
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../scripts/envoy.ts'
import { checkRequests, checkTarget, encodeCheck, tokenOf } from './checks.ts'
import type { LoadRequest } from './load/connection.ts'
import { sendOneCheck } from './load/one-check.ts'
import { saturate } from './load/saturate.ts'
import { pinSelfToLoadCore } from './machine/cores.ts'
import { connectInspector, type Inspector } from './machine/inspector.ts'
import { type BenchOptions, type BenchResult, runBench } from './report/bench.ts'
import { type CpuProfile, functionCosts, ownFileCosts, partCosts } from './report/cpu-profile.ts'
import { type AllocationNode, type FunctionAllocations, functionAllocations } from './report/heap-profile.ts'
import { provideCli } from './servers/build.ts'
import { SET_BY_SERVE, sidecarSettings } from './servers/node-settings.ts'
import { startSidecar } from './servers/sidecar.ts'
import { type FloorKind, startFloor, startKeyManager } from './servers/start.ts'

const FLOORS: readonly FloorKind[] = ['grpc-js, our codec', 'node:http2']

interface Inspected {
  readonly pid: number
  readonly port: number
  readonly inspector: Inspector
}

async function benchProfile({ quick, say }: BenchOptions): Promise<BenchResult> {
  pinSelfToLoadCore()
  const keyManager = await startKeyManager()
  const warmUp = quick ? 500 : 60_000
  const sampled = quick ? 1000 : 50_000
  const tokens = quick ? 100 : 10_000
  const hits = checkRequests(tokens)
  const misses = (from: number, count: number) => checkRequests(count, tokens + from)

  const inspected = async (start: (flags: readonly string[]) => Promise<{ pid: number; port: number }>) => {
    const inspectorPort = await freePort()
    const { pid, port } = await start([...sidecarSettings().flags, `--inspect=127.0.0.1:${inspectorPort}`])
    return { pid, port, inspector: await connectInspector(inspectorPort) }
  }
  const { env } = sidecarSettings()
  const sidecar = await inspected((flags) =>
    // From the sources: in the bundle all parts share their files.
    startSidecar({ cli: provideCli(true), introspectUrl: keyManager.url, node: { flags, env } }),
  )
  const load = ({ pid, port }: Inspected, requests: readonly LoadRequest[], total: number) =>
    saturate({ pid, target: checkTarget(port), requests, total, by: 'own' })

  await load(sidecar, hits, warmUp)
  await sidecar.inspector.call('Profiler.enable')
  await sidecar.inspector.call('Profiler.setSamplingInterval', { interval: 200 })
  await sidecar.inspector.call('Profiler.start')
  const { cpuMicrosEach } = await load(sidecar, hits, quick ? 3000 : 200_000)
  const { profile } = Object(await sidecar.inspector.call('Profiler.stop'))
  const file = join(tmpdir(), `micro-gw-hit-${process.pid}.cpuprofile`)
  writeFileSync(file, JSON.stringify(profile))
  say(`the whole profile, for DevTools: ${file}`)
  const costs = functionCosts(profile as CpuProfile)

  const allocationsOf = async (server: Inspected, requests: readonly LoadRequest[]) => {
    await server.inspector.call('HeapProfiler.startSampling', SAMPLING)
    await load(server, requests, sampled)
    const { profile: heap } = Object(await server.inspector.call('HeapProfiler.stopSampling'))
    return functionAllocations(Object(heap).head as AllocationNode, sampled)
  }
  const hit = await allocationsOf(sidecar, hits)
  await load(sidecar, misses(0, warmUp), warmUp)
  const miss = await allocationsOf(sidecar, misses(warmUp, sampled))
  const allocations: [name: string, each: readonly FunctionAllocations[]][] = [
    ['hit', hit],
    ['miss', miss],
  ]
  const reply = await sendOneCheck(sidecar.port, encodeCheck(tokenOf(0)))
  for (const kind of FLOORS) {
    const floor = await inspected((flags) =>
      startFloor(kind, reply, { node: { flags: [...flags, SET_BY_SERVE], env } }),
    )
    await load(floor, hits, warmUp)
    allocations.push([`floor: ${kind}`, await allocationsOf(floor, hits)])
    floor.inspector.close()
  }
  sidecar.inspector.close()

  const kilobytes = (list: readonly FunctionAllocations[]): number =>
    list.reduce((sum, { bytesEach }) => sum + bytesEach, 0) / 1000
  const most = quick ? 10 : 40
  const ofFunctions = (list: readonly FunctionAllocations[]) =>
    list.slice(0, most).map(({ name, where, bytesEach }) => [name, where, bytesEach])
  return {
    tables: [
      {
        title: 'CPU time of a memory hit, by part (self time)',
        columns: ['part', 'share %', 'us/Check, profiler on'],
        rows: partCosts(costs).map(([part, share]) => [part, share * 100, share * cpuMicrosEach]),
      },
      {
        title: "The same, by the product's own files",
        columns: ['file', 'share %', 'us/Check, profiler on'],
        rows: ownFileCosts(costs).map(([name, share]) => [name, share * 100, share * cpuMicrosEach]),
      },
      {
        title: 'The functions that cost most (self time)',
        columns: ['function', 'where', 'share %'],
        rows: costs.slice(0, most).map(({ name, where, share }) => [name, where, share * 100]),
      },
      {
        title: `Allocated for each Check, sampled over ${sampled}`,
        columns: ['server', 'KB'],
        rows: allocations.map(([name, list]) => [name, kilobytes(list)]),
      },
      { title: 'The functions of a hit that allocate most', columns: ALLOCATION_COLUMNS, rows: ofFunctions(hit) },
      { title: 'The functions of a miss that allocate most', columns: ALLOCATION_COLUMNS, rows: ofFunctions(miss) },
    ],
    figures: {
      cpuMicrosEach,
      functions: costs.length,
      costliestShare: costs[0]?.share ?? Number.NaN,
      ...Object.fromEntries(allocations.map(([name, list]) => [`KB, ${name}`, kilobytes(list)])),
    },
  }
}

const ALLOCATION_COLUMNS = ['function', 'where', 'bytes/Check']
const SAMPLING = {
  samplingInterval: 8192,
  includeObjectsCollectedByMajorGC: true,
  includeObjectsCollectedByMinorGC: true,
}

if (import.meta.main) await runBench('profile', benchProfile)
