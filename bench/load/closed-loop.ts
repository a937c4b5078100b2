/** As many requests as go through: each connection always has `streams` of them under way. */
import { type LoadRequest, type LoadTarget, openConnection } from './connection.ts'
import { type ExpectedReplies, expectReplies } from './replies.ts'

export interface ClosedLoop extends ExpectedReplies {
  readonly target: LoadTarget
  readonly connections: number
  readonly streams: number
  readonly next: (index: number) => LoadRequest
}

export interface ClosedLoopResult {
  readonly seconds: number
  /** 0 but where `mayBeDenied`. */
  readonly denied: number
  /** Of each request, ms, in the order of completion. */
  readonly latenciesMs: Float64Array
}

/** Rejects where a reply is not the expected one (but for `mayBeDenied`), and where none comes for 30 s. */
export async function runClosedLoop(loop: ClosedLoop): Promise<ClosedLoopResult> {
  const open = Array.from({ length: loop.connections }, () => openConnection(loop.target))
  const connections = await Promise.all(open)
  const latenciesMs = new Float64Array(loop.total)
  const replies = expectReplies(loop)
  const startedAt = performance.now()
  let sent = 0
  let finished = 0

  const start = (connection: (typeof connections)[number]): void => {
    if (sent >= loop.total || replies.isOver()) return
    const request = loop.next(sent)
    sent += 1
    const sentAt = performance.now()
    connection.send(request, (ok) => {
      latenciesMs[finished] = performance.now() - sentAt
      finished += 1
      replies.count(ok)
      start(connection)
    })
  }
  try {
    for (let stream = 0; stream < loop.streams; stream += 1) for (const connection of connections) start(connection)
    const denied = await replies.denied
    return { seconds: (performance.now() - startedAt) / 1000, denied, latenciesMs }
  } finally {
    for (const connection of connections) connection.close()
  }
}
