/** Where the time of a memory hit goes: a CPU profile of the sidecar under full load, by function and by part. */
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../scripts/envoy.ts'
import { checkRequests, checkTarget } from './checks.ts'
import { saturate } from './load/saturate.ts'
import { pinSelfToLoadCore } from './machine/cores.ts'
import { connectInspector } from './machine/inspector.ts'
import { type BenchOptions, type BenchResult, runBench } from './report/bench.ts'
import { type CpuProfile, functionCosts, partCosts } from './report/cpu-profile.ts'
import { provideCli } from './servers/build.ts'
import { sidecarSettings } from './servers/node-settings.ts'
import { startSidecar } from './servers/sidecar.ts'
import { startKeyManager } from './servers/start.ts'

async function benchProfile({ quick, say }: BenchOptions): Promise<BenchResult> {
  pinSelfToLoadCore()
  const keyManager = await startKeyManager()
  const inspectorPort = await freePort()
  const { flags, env } = sidecarSettings()
  const sidecar = await startSidecar({
    // From the sources: in the bundle all parts share their files.
    cli: provideCli(true),
    introspectUrl: keyManager.url,
    node: { flags: [...flags, `--inspect=127.0.0.1:${inspectorPort}`], env },
  })
  const run = {
    pid: sidecar.pid,
    target: checkTarget(sidecar.port),
    requests: checkRequests(quick ? 100 : 10_000),
    by: 'own' as const,
  }
  await saturate({ ...run, total: quick ? 500 : 60_000 })

  const inspector = await connectInspector(inspectorPort)
  await inspector.call('Profiler.enable')
  await inspector.call('Profiler.setSamplingInterval', { interval: 200 })
  await inspector.call('Profiler.start')
  const { cpuMicrosEach } = await saturate({ ...run, total: quick ? 3000 : 200_000 })
  const { profile } = Object(await inspector.call('Profiler.stop'))
  inspector.close()

  const file = join(tmpdir(), `micro-gw-hit-${process.pid}.cpuprofile`)
  writeFileSync(file, JSON.stringify(profile))
  say(`the whole profile, for DevTools: ${file}`)
  const costs = functionCosts(profile as CpuProfile)
  const parts = partCosts(costs)
  return {
    tables: [
      {
        title: 'CPU time of a memory hit, by part (self time)',
        columns: ['part', 'share %', 'us/Check, profiler on'],
        rows: parts.map(([part, share]) => [part, share * 100, share * cpuMicrosEach]),
      },
      {
        title: 'The functions that cost most (self time)',
        columns: ['function', 'where', 'share %'],
        rows: costs.slice(0, quick ? 10 : 40).map(({ name, where, share }) => [name, where, share * 100]),
      },
    ],
    figures: { cpuMicrosEach, functions: costs.length, costliestShare: costs[0]?.share ?? Number.NaN },
  }
}

if (import.meta.main) await runBench('profile', benchProfile)
