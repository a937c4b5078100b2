/**
 * One HTTP/2 connection that sends requests made beforehand and looks at replies only as far as it must: a few
 * microseconds a request, so that a server on the other core is the one that is busy.
 */
import { connect, type Socket } from 'node:net'
import * as h2 from './frames.ts'

/** What a request gets back: `ok` where the first bytes of the body are the expected ones. */
export type Done = (ok: boolean) => void

export interface LoadRequest {
  /** The whole body; empty: HEADERS end the stream. */
  readonly body: Buffer
  /** Header block of what differs from request to request. */
  readonly extra?: Buffer
}

export interface LoadTarget extends h2.RequestHead {
  readonly port: number
  /** What the body of a good reply holds, and from which byte on. */
  readonly expect: Buffer
  readonly expectAt: number
}

export interface LoadConnection {
  /** After the connection's end `done(false)` follows, never at once. */
  send(request: LoadRequest, done: Done): void
  close(): void
}

interface Pending {
  readonly done: Done
  ok: boolean
}

export async function openConnection(target: LoadTarget): Promise<LoadConnection> {
  const socket = connect({ host: '127.0.0.1', port: target.port, noDelay: true })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve).once('error', reject)
  })
  return speak(socket, target)
}

function speak(socket: Socket, target: LoadTarget): LoadConnection {
  const blocks = h2.headerBlocks(target)
  const pending = new Map<number, Pending>()
  const waiting: [LoadRequest, Done][] = []
  let nextStream = 1
  let sendWindow = 65_535
  let received = 0
  let rest: Buffer = Buffer.alloc(0)
  let batch: Buffer[] = [h2.PREFACE, h2.SETTINGS, h2.windowUpdate(0, 0x7fff_0000)]
  let isFlushing = false
  let isClosed = false

  const write = (bytes: Buffer): void => {
    batch.push(bytes)
    if (isFlushing) return
    isFlushing = true
    queueMicrotask(flush)
  }
  const flush = (): void => {
    isFlushing = false
    const all = batch
    batch = []
    if (!socket.destroyed) socket.write(Buffer.concat(all))
  }
  flush()

  const finish = (stream: number, ok: boolean): void => {
    const entry = pending.get(stream)
    if (entry === undefined) return
    pending.delete(stream)
    entry.done(ok && entry.ok)
  }
  const send = (request: LoadRequest, done: Done): void => {
    if (isClosed) {
      setImmediate(done, false)
      return
    }
    const { body, extra } = request
    if (body.length > sendWindow) {
      waiting.push([request, done])
      return
    }
    sendWindow -= body.length
    const stream = nextStream
    nextStream += 2
    pending.set(stream, { done, ok: false })
    const block = stream === 1 ? blocks.first : blocks.later
    const whole = extra === undefined ? block : Buffer.concat([block, extra])
    write(h2.headersFrame(stream, whole, body.length === 0))
    if (body.length > 0) write(h2.frame(h2.FRAME.data, h2.END_STREAM, stream, body))
  }
  const onFrame = (type: number, flags: number, stream: number, payload: Buffer): void => {
    const ends = (flags & h2.END_STREAM) !== 0
    switch (type) {
      case h2.FRAME.data: {
        const entry = pending.get(stream)
        if (entry !== undefined && !entry.ok) entry.ok = isExpected(payload, target)
        received += payload.length
        if (received > 1 << 20) {
          write(h2.windowUpdate(0, received))
          received = 0
        }
        if (ends) finish(stream, true)
        return
      }
      case h2.FRAME.headers:
        if (ends) finish(stream, true)
        return
      case h2.FRAME.rstStream:
        finish(stream, false)
        return
      case h2.FRAME.settings:
        if ((flags & h2.ACK) === 0) write(h2.SETTINGS_ACK)
        return
      case h2.FRAME.ping:
        if ((flags & h2.ACK) === 0) write(h2.frame(h2.FRAME.ping, h2.ACK, 0, Buffer.from(payload)))
        return
      case h2.FRAME.windowUpdate:
        if (stream !== 0) return
        sendWindow += payload.readUInt32BE(0)
        for (const [request, done] of waiting.splice(0)) send(request, done)
        return
      default:
    }
  }

  socket.on('data', (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let at = 0
    while (bytes.length - at >= 9) {
      const length = bytes.readUIntBE(at, 3)
      if (bytes.length - at < 9 + length) break
      const stream = bytes.readUInt32BE(at + 5) & 0x7fff_ffff
      onFrame(bytes[at + 3] ?? 0, bytes[at + 4] ?? 0, stream, bytes.subarray(at + 9, at + 9 + length))
      at += 9 + length
    }
    rest = bytes.subarray(at)
  })
  socket.on('error', () => undefined)
  socket.once('close', () => {
    isClosed = true
    for (const stream of [...pending.keys()]) finish(stream, false)
    for (const [, done] of waiting.splice(0)) done(false)
  })
  return { send, close: () => socket.destroy() }
}

function isExpected(payload: Buffer, { expect, expectAt }: LoadTarget): boolean {
  if (payload.length < expectAt + expect.length) return false
  return payload.compare(expect, 0, expect.length, expectAt, expectAt + expect.length) === 0
}
