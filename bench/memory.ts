/**
 * What a remembered token costs: live bytes and resident memory with 10,000, 100,000 and 1,000,000 of them, each with its
 * reply encoded; and the longest stall of the event loop while they fill, are read, and expire, beside those of servers
 * that remember nothing.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from '../scripts/envoy.ts'
import { checkRequest, checkTarget, encodeCheck, tokenOf } from './checks.ts'
import { runClosedLoop } from './load/closed-loop.ts'
import { sendOneCheck } from './load/one-check.ts'
import { pinSelfToLoadCore, SERVER_CORE } from './machine/cores.ts'
import { residentBytes } from './machine/cpu.ts'
import { lookInside } from './machine/inside.ts'
import { type BenchOptions, type BenchResult, runBench } from './report/bench.ts'
import { provideCli } from './servers/build.ts'
import { SET_BY_SERVE, sidecarSettings } from './servers/node-settings.ts'
import { startSidecar } from './servers/sidecar.ts'
import { type FloorKind, startFloor, startKeyManager } from './servers/start.ts'

type Core = number | 'any'

/** As many as the key manager is asked at once: nothing queues, nothing is refused. */
const CONNECTIONS = 2
const STREAMS = 32
/** Up to here every Check must be allowed. */
const BOUNDED_TOKENS = 100_000

/** Resolves to the denies: beyond 100,000 tokens a collection may outlast a Check. Rejects for any below. */
async function checkAll(port: number, from: number, to: number): Promise<number> {
  const { denied } = await runClosedLoop({
    target: checkTarget(port),
    connections: CONNECTIONS,
    streams: STREAMS,
    total: to - from,
    next: (index) => checkRequest(tokenOf(from + index)),
    mayBeDenied: to > BOUNDED_TOKENS,
  })
  return denied
}

async function benchMemory({ quick, say }: BenchOptions): Promise<BenchResult> {
  pinSelfToLoadCore()
  const levels = quick ? [200, 500] : [10_000, 100_000, 1_000_000]
  const expiring = quick ? 300 : 100_000
  const expirySeconds = quick ? 2 : 25
  const cli = provideCli(quick)
  const keyManager = await startKeyManager()
  const { flags, env } = sidecarSettings()

  const open = async (capacity: number, more: string, core: Core = SERVER_CORE) => {
    const inspectorPort = await freePort()
    const sidecar = await startSidecar({
      cli,
      introspectUrl: keyManager.url,
      node: { flags: [...flags, `--inspect=127.0.0.1:${inspectorPort}`], env },
      toml: `[caching]\ntokenCacheCapacity = ${capacity}\n${more}`,
      core,
    })
    const inside = await lookInside(inspectorPort)
    const check = (from: number, to: number): Promise<number> => checkAll(sidecar.port, from, to)
    return { ...sidecar, inside, check }
  }

  const roomy = await open(Math.max(...levels), '')
  const idleResident = residentBytes(roomy.pid)
  const reply = await sendOneCheck(roomy.port, encodeCheck(tokenOf(0)))
  // Code that was never run would count as the first tokens' memory.
  await roomy.check(0, quick ? 20 : 2000)
  await roomy.check(0, quick ? 20 : 2000)
  const warm = { tokens: quick ? 20 : 2000, live: await roomy.inside.liveBytes() }
  const rows: (string | number)[][] = [['idle', 0, '-', '-', idleResident / 1e6, '-', '-', '-']]
  const figures: Record<string, number> = { idleResidentMB: idleResident / 1e6 }
  let filled = warm.tokens
  for (const level of levels) {
    await roomy.inside.longestStallMs()
    const deniedMisses = await roomy.check(filled, level)
    const fillStall = await roomy.inside.longestStallMs()
    // A reply is encoded at the first hit.
    const deniedHits = await roomy.check(0, level)
    const hitStall = await roomy.inside.longestStallMs()
    const resident = residentBytes(roomy.pid)
    const live = await roomy.inside.liveBytes()
    filled = level
    const each = (live - warm.live) / (level - warm.tokens)
    rows.push(['filled', level, live / 1e6, each, resident / 1e6, fillStall, hitStall, deniedMisses + deniedHits])
    Object.assign(figures, {
      [`bytesEachAt${level}`]: each,
      [`residentMBAt${level}`]: resident / 1e6,
      [`fillStallMsAt${level}`]: fillStall,
      [`hitStallMsAt${level}`]: hitStall,
      [`deniedAt${level}`]: deniedMisses + deniedHits,
    })
    say(`${level} tokens: ${Math.round(each)} bytes each`)
  }
  roomy.inside.close()
  await roomy.stop()

  const shortLived = await open(expiring, `tokenCacheExpiryTime = "${expirySeconds}s"`)
  await shortLived.check(0, expiring)
  await wait(expirySeconds * 1000 + 200)
  await shortLived.inside.longestStallMs()
  const introspectionsBefore = (await keyManager.figures()).introspections
  await shortLived.check(0, expiring)
  const expireStall = await shortLived.inside.longestStallMs()
  const again = (await keyManager.figures()).introspections - introspectionsBefore
  if (again !== expiring) throw new Error(`${again} of ${expiring} answers had expired`)
  shortLived.inside.close()
  rows.push([
    'all expired, asked again',
    expiring,
    '-',
    '-',
    residentBytes(shortLived.pid) / 1e6,
    expireStall,
    '-',
    '-',
  ])
  figures['expireStallMs'] = expireStall

  /** Of a server that remembers nothing, after its first 2,000 Checks: Node's own share. */
  const floorStall = async (kind: FloorKind, core: Core): Promise<number> => {
    const inspectorPort = await freePort()
    const node = { flags: [...flags, SET_BY_SERVE, `--inspect=127.0.0.1:${inspectorPort}`], env }
    const floor = await startFloor(kind, reply, { node, core })
    const inside = await lookInside(inspectorPort)
    await checkAll(floor.port, 0, warm.tokens)
    await inside.longestStallMs()
    await checkAll(floor.port, 0, expiring)
    const stall = await inside.longestStallMs()
    inside.close()
    await floor.stop()
    return stall
  }
  const stallRows: (string | number)[][] = []
  for (const [name, where, core] of [
    ['OneCore', 'one core, which the collector shares', SERVER_CORE],
    ['BothCores', 'both cores, which the load shares', 'any'],
  ] as const) {
    const free = await open(expiring, '', core)
    await free.check(0, warm.tokens)
    await free.inside.longestStallMs()
    await free.check(warm.tokens, expiring)
    const misses = await free.inside.longestStallMs()
    await free.check(0, expiring)
    const hits = await free.inside.longestStallMs()
    free.inside.close()
    await free.stop()
    const grpc = await floorStall('grpc-js, our codec', core)
    const http2 = await floorStall('node:http2', core)
    stallRows.push([where, expiring, misses, hits, grpc, http2])
    Object.assign(figures, {
      [`stallMs${name}Misses`]: misses,
      [`stallMs${name}Hits`]: hits,
      [`stallMs${name}GrpcFloor`]: grpc,
      [`stallMs${name}Http2Floor`]: http2,
    })
    say(`stalls on ${where}`)
  }
  return {
    tables: [
      {
        title: 'Remembered tokens (live: heap and array buffers after a forced collection)',
        columns: [
          'state',
          'tokens',
          'live MB',
          'bytes a token',
          'RSS MB',
          'longest stall ms, misses',
          'hits',
          'denied',
        ],
        rows,
      },
      {
        title: 'Longest stall of the event loop, ms',
        columns: [
          'the process runs on',
          'Checks',
          'sidecar, misses',
          'sidecar, hits',
          'floor: grpc-js, our codec',
          'floor: node:http2',
        ],
        rows: stallRows,
      },
    ],
    figures,
  }
}

if (import.meta.main) await runBench('memory', benchMemory)
