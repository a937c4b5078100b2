/** One request and its answer, as undici tells of them: events in, one outcome out. */
import type { Dispatcher } from 'undici'

/** Lower-case names; a list where a header came more than once. */
export type AnswerHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/** An answer, whatever its status. */
export interface HttpAnswer {
  readonly ok: true
  readonly status: number
  readonly headers: AnswerHeaders
  /** Empty where `oversized`. */
  readonly body: Uint8Array
  /** True: more than the cap arrived, and the connection was destroyed there. */
  readonly oversized: boolean
}

/** One request on one dispatcher: exactly one of `answered` and `failed` is called, unless it was abandoned. */
export class Exchange implements Dispatcher.DispatchHandler {
  /** True once answered, failed or abandoned. */
  settled = false
  private readonly maxAnswerSize: number
  private readonly answered: (answer: HttpAnswer) => void
  private readonly failed: (error: unknown) => void
  private controller: Dispatcher.DispatchController | undefined
  private status = 0
  private headers: AnswerHeaders = {}
  private size = 0
  private first: Buffer | undefined
  private more: Buffer[] | undefined

  constructor(maxAnswerSize: number, answered: (answer: HttpAnswer) => void, failed: (error: unknown) => void) {
    this.maxAnswerSize = maxAnswerSize
    this.answered = answered
    this.failed = failed
  }

  send(dispatcher: Dispatcher, request: Dispatcher.DispatchOptions): void {
    try {
      dispatcher.dispatch(request, this)
    } catch (error) {
      this.fail(error)
    }
  }

  /** Destroys the connection; nothing is reported afterwards. */
  abandon(): void {
    this.settled = true
    this.controller?.abort(new Error('abandoned'))
  }

  onRequestStart(started: Dispatcher.DispatchController): void {
    this.controller = started
    // Abandoned while it waited for its connection: not one byte is sent.
    if (this.settled) started.abort(new Error('abandoned'))
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: AnswerHeaders): void {
    this.status = status
    this.headers = headers
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.size += chunk.length
    if (this.size > this.maxAnswerSize) {
      this.answer(new Uint8Array(), true)
      controller.abort(new Error('too large'))
    } else if (this.first === undefined) this.first = chunk
    else if (this.more === undefined) this.more = [this.first, chunk]
    else this.more.push(chunk)
  }

  onResponseEnd(): void {
    this.answer(this.more === undefined ? (this.first ?? new Uint8Array()) : Buffer.concat(this.more), false)
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.fail(error)
  }

  private answer(body: Uint8Array, oversized: boolean): void {
    if (this.settled) return
    this.settled = true
    this.answered({ ok: true, status: this.status, headers: this.headers, body, oversized })
  }

  private fail(error: unknown): void {
    if (this.settled) return
    this.settled = true
    this.failed(error)
  }
}
