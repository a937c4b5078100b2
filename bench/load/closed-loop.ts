/** As many requests as go through: each connection always has `streams` of them under way. */
import { type LoadRequest, type LoadTarget, openConnection } from './connection.ts'

export interface ClosedLoop {
  readonly target: LoadTarget
  readonly connections: number
  readonly streams: number
  /** Requests in all. */
  readonly total: number
  readonly next: (index: number) => LoadRequest
}

export interface ClosedLoopResult {
  readonly seconds: number
  readonly good: number
  readonly bad: number
  /** Of each request, ms, in the order of completion. */
  readonly latenciesMs: Float64Array
}

export async function runClosedLoop(loop: ClosedLoop): Promise<ClosedLoopResult> {
  const open = Array.from({ length: loop.connections }, () => openConnection(loop.target))
  const connections = await Promise.all(open)
  const latenciesMs = new Float64Array(loop.total)
  const startedAt = performance.now()
  let sent = 0
  let good = 0
  let finished = 0

  await new Promise<void>((resolve) => {
    const start = (connection: (typeof connections)[number]): void => {
      if (sent >= loop.total) return
      const request = loop.next(sent)
      sent += 1
      const sentAt = performance.now()
      connection.send(request, (ok) => {
        latenciesMs[finished] = performance.now() - sentAt
        finished += 1
        if (ok) good += 1
        if (finished === loop.total) resolve()
        else start(connection)
      })
    }
    for (let stream = 0; stream < loop.streams; stream += 1) for (const connection of connections) start(connection)
  })
  const seconds = (performance.now() - startedAt) / 1000
  for (const connection of connections) connection.close()
  return { seconds, good, bad: loop.total - good, latenciesMs }
}
