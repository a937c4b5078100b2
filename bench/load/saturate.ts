/** A server under as much load as it takes: by h2load where there is one request, else by our own generator. */
import { cpuMicros } from '../machine/cpu.ts'
import { runClosedLoop } from './closed-loop.ts'
import type { LoadRequest, LoadTarget } from './connection.ts'
import { runH2load } from './h2load.ts'
import { sendOneCheck } from './one-check.ts'

/** As few connections as an Envoy has workers, each with many Checks under way. */
export const CONNECTIONS = 4
export const STREAMS = 32
/** Of a gRPC message: compressed or not, and its length. */
const FRAME_HEADER = 5

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

/** Rejects where not every reply was an allow (by h2load: one had not the size of the allow before them). */
export async function saturate(run: Saturation): Promise<Saturated> {
  const { target, total } = run
  const replyBytes = run.by === 'h2load' ? await sizeOfAllow(run) : 0
  const before = cpuMicros(run.pid)
  const seconds = run.by === 'h2load' ? await byH2load(run) : await byOurs(run)
  return { perSecond: total / seconds, cpuMicrosEach: (cpuMicros(run.pid) - before) / total }

  async function byH2load({ requests }: Saturation): Promise<number> {
    const body = requests[0]?.body ?? Buffer.alloc(0)
    const shape = { connections: CONNECTIONS, streams: STREAMS, total, body, replyBytes }
    return (await runH2load({ target, ...shape })).seconds
  }

  async function byOurs({ requests }: Saturation): Promise<number> {
    const [first] = requests
    if (first === undefined) throw new Error('no requests')
    const next = (index: number): LoadRequest => requests[index % requests.length] ?? first
    return (await runClosedLoop({ target, connections: CONNECTIONS, streams: STREAMS, total, next })).seconds
  }
}

/** Of its gRPC frame. */
async function sizeOfAllow({ target, requests }: Saturation): Promise<number> {
  const message = requests[0]?.body.subarray(FRAME_HEADER) ?? Buffer.alloc(0)
  return FRAME_HEADER + (await sendOneCheck(target.port, message)).length
}
