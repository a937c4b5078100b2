/** The started app and a scripted key manager, on real sockets: what every fault test needs. */
import type { Clock } from '../../src/authz/ports.ts'
import { basicConfig, startTestApp, type TestApp } from './app.ts'
import { type CheckClient, connectChecks, httpCheck } from './check-client.ts'
import { type KeyManagerOptions, type ScriptedKeyManager, startKeyManager } from './key-manager.ts'

export interface Pair {
  readonly keyManager: ScriptedKeyManager
  readonly running: TestApp
  readonly client: CheckClient
  /** One Check with this Authorization value; what came back, flattened. */
  ask(
    authorization: string | undefined,
    more?: { path?: string; headers?: Record<string, string>; context?: Record<string, string>; deadlineMs?: number },
  ): Promise<Seen>
  /** The exposition's value of a series, such as `microgw_introspections_total{outcome="active"}`. */
  metric(series: string): Promise<number>
  close(): Promise<void>
}

export interface Seen {
  readonly allowed: boolean
  /** HTTP status of the deny; 200 on allow. */
  readonly status: string
  readonly reason: string
  readonly cache: string
  readonly headers: Readonly<Record<string, string>>
  readonly removed: readonly string[]
}

interface Option {
  readonly header?: { readonly key?: string; readonly value?: string }
}

export async function startPair(
  /** `config`: the whole text, in place of the basic one with `toml` behind it. */
  options: {
    toml?: string
    config?: string
    flags?: Record<string, string>
    clock?: Clock
    keyManager?: KeyManagerOptions
  } = {},
): Promise<Pair> {
  const keyManager = await startKeyManager(options.keyManager)
  const running = await startTestApp(options.config ?? basicConfig(keyManager.url, options.toml), {
    flags: { 'keyManager.startupProbe': 'false', ...options.flags },
    ...(options.clock === undefined ? {} : { clock: options.clock }),
  })
  const client = connectChecks(running.app.addresses.extAuthz[0] ?? '')
  return {
    keyManager,
    running,
    client,
    async ask(authorization, { path = '/orders', headers = {}, context, deadlineMs } = {}) {
      const request = httpCheck({
        method: 'GET',
        path,
        host: 'api.example.com',
        headers: { ...headers, ...(authorization === undefined ? {} : { authorization }) },
        ...(context === undefined ? {} : { context }),
      })
      return seenIn(await client.check(request, deadlineMs === undefined ? {} : { deadlineMs }))
    },
    async metric(series) {
      const text = await (await fetch(`http://${running.app.addresses.admin}/metrics`)).text()
      const line = text.split('\n').find((candidate) => candidate.startsWith(`${series} `))
      return line === undefined ? Number.NaN : Number(line.slice(series.length))
    },
    async close() {
      client.close()
      await running.close()
      await keyManager.close()
    },
  }
}

/** Reads a reply as the loader's codec gives it. */
export function seenIn(reply: object): Seen {
  const read = JSON.parse(JSON.stringify(reply))
  const fields = read.dynamic_metadata?.fields ?? {}
  const text = (name: string): string => fields[name]?.stringValue ?? ''
  const options: readonly Option[] = read.denied_response?.headers ?? read.ok_response?.headers ?? []
  return {
    allowed: (read.status?.code ?? 0) === 0,
    status: String(read.denied_response?.status?.code ?? '200'),
    reason: text('reason'),
    cache: text('cache'),
    headers: Object.fromEntries(options.map(({ header }) => [header?.key ?? '', header?.value ?? ''])),
    removed: read.ok_response?.headers_to_remove ?? [],
  }
}

/** `exp` so many seconds from now. */
export const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds
