/** From exec to the first answered Check, beside the same Node that does nothing. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from '../scripts/envoy.ts'
import { checkRequest, checkTarget, tokenOf } from './checks.ts'
import { openConnection } from './load/connection.ts'
import { pinned, pinSelfToLoadCore, SERVER_CORE } from './machine/cores.ts'
import { type BenchOptions, type BenchResult, runBench } from './report/bench.ts'
import { median } from './report/statistics.ts'
import { provideCli } from './servers/build.ts'
import { sidecarSettings } from './servers/node-settings.ts'
import { configuration } from './servers/sidecar.ts'
import { startKeyManager } from './servers/start.ts'

async function benchStart({ quick, say }: BenchOptions): Promise<BenchResult> {
  pinSelfToLoadCore()
  const rounds = quick ? 1 : 15
  const dir = mkdtempSync(join(tmpdir(), 'micro-gw-bench-'))
  const keyManager = await startKeyManager()
  const port = await freePort()
  const file = join(dir, 'micro-gw.conf')
  writeFileSync(file, configuration(keyManager.url).replace('listen = "127.0.0.1:0"', `listen = "127.0.0.1:${port}"`))
  const { flags, env } = sidecarSettings()
  const serve = [process.execPath, ...flags, provideCli(quick), 'serve', '--config', file]
  const cache = { ...env, NODE_COMPILE_CACHE: join(dir, 'compiled') }
  const nothing: number[] = []
  const plain: number[] = []
  const cached: number[] = []
  try {
    await untilAnswered(serve, cache, port)
    for (let round = 1; round <= rounds; round += 1) {
      nothing.push(await untilExit([process.execPath, '-e', '0']))
      plain.push(await untilAnswered(serve, env, port))
      cached.push(await untilAnswered(serve, cache, port))
      say(`round ${round} of ${rounds}`)
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
  const ratio = (list: readonly number[]): number => median(list.map((ms, i) => ms / (nothing[i] ?? Number.NaN)))
  const row = (name: string, list: readonly number[]) => [name, median(list), Math.min(...list), ratio(list)]
  return {
    tables: [
      {
        title: `Start, medians of ${rounds} rounds in turn`,
        columns: ['what', 'median ms', 'least ms', 'to node -e 0'],
        rows: [
          row('node -e 0', nothing),
          row('exec to the first answered Check', plain),
          row('the same with a filled NODE_COMPILE_CACHE', cached),
        ],
      },
    ],
    figures: {
      nodeMs: median(nothing),
      startMs: median(plain),
      startCachedMs: median(cached),
      startToNode: ratio(plain),
      startCachedToNode: ratio(cached),
    },
  }
}

function start(command: readonly string[], env: Readonly<Record<string, string>>) {
  const [program = '', ...args] = pinned(SERVER_CORE, command)
  return spawn(program, args, { stdio: 'ignore', env: { ...process.env, ...env } })
}

async function untilExit(command: readonly string[]): Promise<number> {
  const startedAt = performance.now()
  const child = start(command, {})
  await new Promise((resolve) => child.once('exit', resolve))
  return performance.now() - startedAt
}

/** A Check whose token must be introspected first, as the first one always is. */
async function untilAnswered(command: readonly string[], env: Readonly<Record<string, string>>, port: number) {
  const startedAt = performance.now()
  const child = start(command, env)
  const exited = new Promise((resolve) => child.once('exit', resolve))
  const connection = await connectWhenOpen(port, startedAt + 20_000)
  const isAllowed = await new Promise<boolean>((resolve) => connection.send(checkRequest(tokenOf(0)), resolve))
  const tookMs = performance.now() - startedAt
  connection.close()
  child.kill('SIGTERM')
  await exited
  if (!isAllowed) throw new Error('the first Check was not allowed')
  return tookMs
}

async function connectWhenOpen(port: number, giveUpAt: number) {
  while (performance.now() < giveUpAt) {
    try {
      return await openConnection(checkTarget(port))
    } catch {
      await wait(1)
    }
  }
  throw new Error('the sidecar did not start')
}

if (import.meta.main) await runBench('start', benchStart)
