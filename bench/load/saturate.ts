/** A server under as much load as it takes: by h2load where there is one request, else by our own generator. */
import { cpuMicros } from '../machine/cpu.ts'
import { runClosedLoop } from './closed-loop.ts'
import type { LoadRequest, LoadTarget } from './connection.ts'
import { runH2load } from './h2load.ts'

/** As few connections as an Envoy has workers, each with many Checks under way. */
export const CONNECTIONS = 4
export const STREAMS = 32

export interface Saturation {
  readonly pid: number
  readonly target: LoadTarget
  readonly total: number
  readonly requests: readonly LoadRequest[]
  readonly by: 'h2load' | 'own'
}

export interface Saturated {
  readonly perSecond: number
  /** Of the server, user and system, per request. */
  readonly cpuMicrosEach: number
}

/** Rejects where not every reply was an allow (h2load: where one had not status 200). */
export async function saturate(run: Saturation): Promise<Saturated> {
  const { target, total } = run
  const before = cpuMicros(run.pid)
  const seconds = run.by === 'h2load' ? await byH2load(run) : await byOurs(run)
  return { perSecond: total / seconds, cpuMicrosEach: (cpuMicros(run.pid) - before) / total }

  async function byH2load({ requests }: Saturation): Promise<number> {
    const body = requests[0]?.body ?? Buffer.alloc(0)
    return (await runH2load({ target, connections: CONNECTIONS, streams: STREAMS, total, body })).seconds
  }

  async function byOurs({ requests }: Saturation): Promise<number> {
    const [first] = requests
    if (first === undefined) throw new Error('no requests')
    const next = (index: number): LoadRequest => requests[index % requests.length] ?? first
    return (await runClosedLoop({ target, connections: CONNECTIONS, streams: STREAMS, total, next })).seconds
  }
}
