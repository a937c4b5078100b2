/**
 * Which worker gets how many of the Checks of a real Envoy: it holds few connections for long, so that with several
 * workers it is its settings that decide whether they all have work.
 */
import { tokenOf } from './checks.ts'
import { runClosedLoop } from './load/closed-loop.ts'
import { type BenchOptions, type BenchResult, runBench } from './report/bench.ts'
import { provideCli } from './servers/build.ts'
import { type SidecarCluster, startBenchEnvoy } from './servers/envoy.ts'
import { type Sidecar, startSidecar } from './servers/sidecar.ts'
import { startKeyManager } from './servers/start.ts'

interface Way {
  readonly name: string
  /** As many addresses as workers, each an endpoint; else one. */
  readonly severalAddresses: boolean
  readonly cluster: Omit<SidecarCluster, 'ports'>
}

/** `max_concurrent_streams` of Envoy's cluster; the sidecar itself allows 1,024 Checks a connection. */
const WAYS: readonly Way[] = [
  { name: 'one address, 1,024 Checks a connection', severalAddresses: false, cluster: {} },
  ...[64, 16, 4].map((maxConcurrentStreams) => ({
    name: `one address, ${maxConcurrentStreams} Checks a connection`,
    severalAddresses: false,
    cluster: { maxConcurrentStreams },
  })),
  { name: 'one address, connections of 0.5 s', severalAddresses: false, cluster: { maxConnectionDuration: '0.5s' } },
  { name: 'an address each, ROUND_ROBIN', severalAddresses: true, cluster: { policy: 'ROUND_ROBIN' } },
  { name: 'an address each, LEAST_REQUEST', severalAddresses: true, cluster: { policy: 'LEAST_REQUEST' } },
]

/** Requests in flight towards Envoy, and how many connections carry them. */
const LOADS = [
  { name: 'low', connections: 4, streams: 1 },
  { name: 'high', connections: 16, streams: 8 },
] as const

interface Shared {
  readonly way: string
  readonly workers: number
  readonly concurrency: number
  readonly load: string
  /** In per cent, most first. */
  readonly shares: readonly number[]
  readonly connections: number
  /** By Envoy, which got no answer: a burst meets connections that are new, or none. */
  readonly refused: number
}

/** Since it started. */
interface Worker {
  /** Allowed ones. */
  readonly checks: number
  readonly denied: number
  readonly connections: number
}

async function benchBalance({ quick, say }: BenchOptions): Promise<BenchResult> {
  const keyManager = await startKeyManager()
  const cli = provideCli(quick)
  const total = quick ? 500 : 6000
  const measured: Shared[] = []
  for (const workers of quick ? [2] : [2, 4])
    for (const severalAddresses of [false, true]) {
      const listen = Array.from({ length: severalAddresses ? workers : 1 }, () => '127.0.0.1:0')
      const set = [`extAuthz.workers=${workers}`, `extAuthz.listen=${listen.join(',')}`]
      const sidecar = await startSidecar({ cli, introspectUrl: keyManager.url, set, core: 'any' })
      for (const way of WAYS.filter((one) => one.severalAddresses === severalAddresses).slice(0, quick ? 1 : undefined))
        for (const concurrency of quick ? [1] : [1, 2, 4])
          measured.push(...(await share(sidecar, way, { workers, concurrency, total, say })))
      await sidecar.stop()
    }
  await keyManager.stop()
  const figures = Object.fromEntries(
    measured.map(({ way, workers, concurrency, load, shares }) => [
      `${way}; ${workers} workers; concurrency ${concurrency}; ${load}`,
      shares[0] ?? 0,
    ]),
  )
  return {
    tables: [
      {
        title: 'Share of the Checks of each worker, per cent (Envoy has as many threads as its concurrency)',
        columns: ['way', 'workers', 'concurrency', 'load', 'connections', 'refused', 'shares'],
        rows: measured.map((one) => [
          one.way,
          one.workers,
          one.concurrency,
          one.load,
          one.connections,
          one.refused,
          one.shares.map(Math.round).join(' / '),
        ]),
      },
    ],
    figures: { cases: measured.length, ...figures },
    notes: [
      `Requests in flight: ${LOADS.map(({ name, connections, streams }) => `${name} ${connections * streams}`).join(', ')}.`,
    ],
  }
}

/** Both loads through one Envoy: what it opened for the one it keeps for the other. */
async function share(
  sidecar: Sidecar,
  way: Way,
  run: { workers: number; concurrency: number; total: number; say: (line: string) => void },
): Promise<readonly Shared[]> {
  const { workers, concurrency, total, say } = run
  const envoy = await startBenchEnvoy({ ports: sidecar.ports, ...way.cluster }, concurrency)
  if (envoy === undefined) throw new Error('there is no Envoy')
  const headers = { ...envoy.target.headers, authorization: `Bearer ${tokenOf(0)}` }
  const target = { ...envoy.target, headers }
  const next = () => ({ body: Buffer.alloc(0) })
  const measured: Shared[] = []
  for (const { name, connections, streams } of LOADS) {
    const before = await workersOf(sidecar)
    const { denied: refused } = await runClosedLoop({ target, connections, streams, total, next, mayBeDenied: true })
    const after = await workersOf(sidecar)
    const shares = sharesOf(before, after)
    const held = after.reduce((sum, one) => sum + one.connections, 0)
    measured.push({ way: way.name, workers, concurrency, load: name, shares, connections: held, refused })
    say(`${way.name}, ${workers} workers, concurrency ${concurrency}, ${name}: ${shares.map(Math.round).join(' / ')}`)
  }
  await envoy.stop()
  return measured
}

/** Of each worker in per cent, most first; throws where a Check was denied, or none came to any. */
export function sharesOf(before: readonly Worker[], after: readonly Worker[]): readonly number[] {
  const each = after.map(({ checks }, index) => checks - (before[index]?.checks ?? 0))
  const all = each.reduce((sum, checks) => sum + checks, 0)
  const denied = after.reduce((sum, one) => sum + one.denied, 0)
  if (all === 0 || denied > 0) throw new Error(`${all} Checks were allowed, ${denied} denied`)
  return each.map((checks) => (checks / all) * 100).toSorted((a, b) => b - a)
}

async function workersOf(sidecar: Sidecar): Promise<readonly Worker[]> {
  const read: unknown = await (await fetch(`http://127.0.0.1:${sidecar.localAdminPort}/status`)).json()
  const workers: readonly unknown[] = Object(read).workers ?? []
  return workers.map((worker) => {
    const { connections, status } = Object(worker)
    const { allow, deny, error } = status.totals.checks
    return { checks: Number(allow), denied: Number(deny) + Number(error), connections: Number(connections) }
  })
}

if (import.meta.main) await runBench('balance', benchBalance)
