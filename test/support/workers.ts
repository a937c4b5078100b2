/** A sidecar of several workers in processes of its own, and what its status says of them. */
import { type OwnProcess, startOwnProcess } from '../faults/own-process.ts'
import { type CheckClient, type CheckResponseObject, connectChecks, httpCheck } from './check-client.ts'

export interface WorkerFacts {
  readonly worker: number
  readonly pid: number
  readonly restarts: number
  readonly connections: number
  readonly answers: boolean
}

export interface Workers extends OwnProcess {
  status(): Promise<StatusFacts>
  /** Log lines of this event, parsed. */
  events(name: string): readonly Readonly<Record<string, unknown>>[]
  /** A client with a connection of its own. */
  connect(address?: string): CheckClient
}

interface StatusFacts {
  readonly ready: boolean
  readonly restartRequired: boolean
  readonly totals: { readonly checks: { readonly allow: number; readonly deny: number } }
  readonly workers: readonly WorkerFacts[]
}

export async function startWorkers(
  toml: string,
  {
    workers = 2,
    flags = {},
    env = {},
  }: { workers?: number; flags?: Readonly<Record<string, string>>; env?: Readonly<Record<string, string>> } = {},
): Promise<Workers> {
  const own = await startOwnProcess(toml, { 'extAuthz.workers': String(workers), ...flags }, env)
  const clients: CheckClient[] = []
  return {
    ...own,
    async status() {
      return (await (await fetch(`http://${own.localAdmin}/status`)).json()) as StatusFacts
    },
    events: (name) =>
      own
        .output()
        .split('\n')
        .filter((line) => line.includes(`"event":"${name}"`))
        .map((line) => JSON.parse(line)),
    connect(address = own.address) {
      const client = connectChecks(address)
      clients.push(client)
      return client
    },
    async close() {
      for (const client of clients) client.close()
      await own.close()
    },
  }
}

/** Whether this process still runs. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Polls until `holds`; fails with `what` after `withinMs`. Resolves with how long it took, ms. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>, withinMs = 30_000) {
  const startedAt = performance.now()
  for (;;) {
    if (await holds()) return performance.now() - startedAt
    if (performance.now() - startedAt > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** One Check with this token. */
export async function askWith(client: CheckClient, token: string, path = '/orders'): Promise<Told> {
  return told(
    await client.check(httpCheck({ path, headers: { authorization: `Bearer ${token}` } }), { deadlineMs: 15_000 }),
  )
}

export interface Told {
  readonly allowed: boolean
  readonly reason: string
  readonly decisionId: string
  /** The same for all decisions of one process. */
  readonly process: string
}

function told(reply: CheckResponseObject): Told {
  const fields = reply.dynamic_metadata?.fields ?? {}
  const decisionId = fields['decision_id']?.stringValue ?? ''
  return {
    allowed: (reply.status?.code ?? 0) === 0,
    reason: fields['reason']?.stringValue ?? '',
    decisionId,
    process: decisionId.split('-')[0] ?? '',
  }
}
