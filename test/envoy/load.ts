/** Requests at a constant rate, whatever comes back: a stall shows as failures and a queue, never as fewer requests. */
import { Pool } from 'undici'

export interface Failure {
  /** 0: no answer. */
  readonly status: number
  /** When it was sent and when it was known, from the start of the load. */
  readonly sentMs: number
  readonly afterMs: number
  /** The body: a deny of the sidecar has one, Envoy's own answer has none. */
  readonly detail: string
}

export interface LoadResult {
  readonly sent: number
  readonly failed: readonly Failure[]
}

export interface Load {
  /** How many were sent so far. */
  sent(): number
  /** Since the start. */
  elapsedMs(): number
  /** Sends no more, and resolves when every answer is there. May be called again. */
  finish(): Promise<LoadResult>
}

export interface LoadSettings {
  readonly port: number
  readonly perSecond: number
  /** The token of request `index`. */
  readonly token: (index: number) => string
}

/** How often it is looked how many are due. */
const TICK_MS = 5

/** Starts at once. A request counts as failed unless it was answered with 200. */
export function startLoad({ port, perSecond, token }: LoadSettings): Load {
  // Enough for half a second without an answer; what comes on top waits for one, and is sent all the same.
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 256, pipelining: 1 })
  const pending = new Set<Promise<void>>()
  const failed: Failure[] = []
  const startedAt = performance.now()
  let sent = 0

  const elapsedMs = (): number => Math.round(performance.now() - startedAt)

  async function send(index: number): Promise<void> {
    const sentMs = elapsedMs()
    const fail = (status: number, detail: string): void =>
      void failed.push({ status, detail, sentMs, afterMs: elapsedMs() })
    const headers = { host: 'api.example.com', authorization: `Bearer ${token(index)}` }
    try {
      const { statusCode, body } = await pool.request({ path: '/orders', method: 'GET', headers })
      const text = await body.text()
      if (statusCode !== 200) fail(statusCode, text.slice(0, 200))
    } catch (error) {
      fail(0, error instanceof Error ? error.message : 'unknown')
    }
  }

  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedAt) * perSecond) / 1000)
    while (sent < due) {
      const answered = send(sent)
      sent += 1
      pending.add(answered)
      void answered.then(() => pending.delete(answered))
    }
  }, TICK_MS)

  let finished: Promise<LoadResult> | undefined
  const finish = async (): Promise<LoadResult> => {
    clearInterval(timer)
    await Promise.all(pending)
    await pool.close()
    return { sent, failed }
  }
  return {
    sent: () => sent,
    elapsedMs,
    finish() {
      finished ??= finish()
      return finished
    },
  }
}
