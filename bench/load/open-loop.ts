/**
 * Arrivals at a constant rate, whatever becomes of the earlier ones. A request's time counts from when it was due, not
 * from when it could be sent: so a stall is seen by every request that it held up. A stall of the generator itself is
 * too; how late it sent says how much of a time is its own.
 */
import { type LoadRequest, type LoadTarget, openConnection } from './connection.ts'
import { type ExpectedReplies, expectReplies } from './replies.ts'

export interface OpenLoop extends Pick<ExpectedReplies, 'clock' | 'mayBeDenied'> {
  readonly target: LoadTarget
  readonly connections: number
  readonly perSecond: number
  readonly seconds: number
  readonly next: (index: number) => LoadRequest
  /** ms; default `performance.now`. */
  readonly now?: () => number
}

export interface OpenLoopResult {
  /** From due to done, ms. */
  readonly latenciesMs: Float64Array
  /** From due to sent, ms. */
  readonly latenessMs: Float64Array
  /** The rate at which requests were sent. */
  readonly achievedPerSecond: number
  /** Share of the replies that were not the expected one: 0 but where `mayBeDenied`. */
  readonly deniedShare: number
}

/** Rejects where a reply is not the expected one (but for `mayBeDenied`), and where none comes for 30 s. */
export async function runOpenLoop(loop: OpenLoop): Promise<OpenLoopResult> {
  const open = Array.from({ length: loop.connections }, () => openConnection(loop.target))
  const connections = await Promise.all(open)
  const total = Math.max(1, Math.round(loop.perSecond * loop.seconds))
  const intervalMs = 1000 / loop.perSecond
  const latenciesMs = new Float64Array(total)
  const latenessMs = new Float64Array(total)
  const now = loop.now ?? (() => performance.now())
  const replies = expectReplies({ ...loop, total })
  const startedAt = now() + 1
  let sent = 0
  let finished = 0

  const sendDue = (): void => {
    const dueCount = Math.min(total, Math.floor((now() - startedAt) / intervalMs) + 1)
    while (sent < dueCount) {
      const dueAt = startedAt + sent * intervalMs
      const connection = connections[sent % connections.length]
      const request = loop.next(sent)
      latenessMs[sent] = now() - dueAt
      connection?.send(request, (ok) => {
        latenciesMs[finished] = now() - dueAt
        finished += 1
        replies.count(ok)
      })
      sent += 1
    }
    // Turning without a pause: a timer would add up to a millisecond to what is to be measured.
    if (sent < total && !replies.isOver()) setImmediate(sendDue)
  }
  try {
    setImmediate(sendDue)
    const denied = await replies.denied
    const tookMs = total * intervalMs + (latenessMs.at(-1) ?? 0)
    return { latenciesMs, latenessMs, achievedPerSecond: total / (tookMs / 1000), deniedShare: denied / total }
  } finally {
    for (const connection of connections) connection.close()
  }
}
