import { once } from 'node:events'
import { type ClientHttp2Session, constants, connect as openSession } from 'node:http2'
import { connect as openSocket, type Socket } from 'node:net'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { basicConfig } from '../support/app.ts'
import {
  type CheckClient,
  type CheckRequestObject,
  connectChecks,
  decodeReply,
  encodeCheck,
  httpCheck,
} from '../support/check-client.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'
import { inSeconds, seenIn } from '../support/pair.ts'
import { FIGURES } from './figures.ts'
import { type OwnProcess, startOwnProcess } from './own-process.ts'

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const [DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, WINDOW_UPDATE, CONTINUATION, UNKNOWN] = [
  0, 1, 3, 4, 5, 6, 8, 9, 0xfa,
]
const ACK = 1
const END_HEADERS = 4
const AT_ONCE = 250
const CALL = {
  ':method': 'POST',
  ':path': '/envoy.service.auth.v3.Authorization/Check',
  'content-type': 'application/grpc',
  te: 'trailers',
}

/** RFC 9113 section 4.1. `length` may lie. */
function frame(type: number, flags: number, stream: number, payload: Uint8Array, length = payload.length): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

const NO_SETTINGS = frame(SETTINGS, 0, 0, Buffer.alloc(0))

/** Each is a connection error by RFC 9113. */
const MALFORMED = {
  'noise instead of frames': Buffer.alloc(4096, 0x5a),
  'SETTINGS whose length is no multiple of 6': frame(SETTINGS, 0, 0, Buffer.alloc(7)),
  'SETTINGS on a stream': frame(SETTINGS, 0, 1, Buffer.alloc(6)),
  'SETTINGS with 2,730 entries': frame(SETTINGS, 0, 0, Buffer.alloc(2730 * 6, 0x0f)),
  'SETTINGS with a window above 2^31': frame(SETTINGS, 0, 0, Buffer.from([0, 4, 0xff, 0xff, 0xff, 0xff])),
  'a frame longer than SETTINGS_MAX_FRAME_SIZE': frame(DATA, 0, 1, Buffer.alloc(64), 0xffffff),
  'DATA on stream 0': frame(DATA, 0, 0, Buffer.alloc(16)),
  'DATA on a stream never opened': frame(DATA, 0, 1, Buffer.alloc(16)),
  'HEADERS on stream 0': frame(HEADERS, END_HEADERS, 0, Buffer.from([0x82])),
  'HEADERS whose header block is not HPACK': frame(HEADERS, END_HEADERS, 1, Buffer.alloc(64, 0xff)),
  'HEADERS with more padding than frame': frame(HEADERS, END_HEADERS | 8, 1, Buffer.from([0xff, 0x82])),
  'HEADERS cut off by another frame': Buffer.concat([
    frame(HEADERS, 0, 1, Buffer.from([0x82])),
    frame(DATA, 0, 1, Buffer.alloc(1)),
  ]),
  'CONTINUATION of nothing': frame(CONTINUATION, END_HEADERS, 1, Buffer.from([0x82])),
  'PUSH_PROMISE from a client': frame(PUSH_PROMISE, END_HEADERS, 1, Buffer.from([0, 0, 0, 2, 0x82])),
  'PING of 7 bytes': frame(PING, 0, 0, Buffer.alloc(7)),
  'RST_STREAM of a stream never opened': frame(RST_STREAM, 0, 1, Buffer.alloc(4)),
  'WINDOW_UPDATE of nothing': frame(WINDOW_UPDATE, 0, 0, Buffer.alloc(4)),
}

describe('F34 malformed frames, 5 MiB messages, many streams reset', () => {
  const check = httpCheck({ method: 'GET', path: '/', host: 'h', headers: { authorization: 'Bearer t' } })
  let keyManager: ScriptedKeyManager
  let sidecar: OwnProcess
  let client: CheckClient

  beforeEach(async () => {
    keyManager = await startKeyManager()
    keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
    sidecar = await startOwnProcess(basicConfig(keyManager.url))
    client = connectChecks(sidecar.address)
    expect(seenIn(await client.check(check)).allowed).to.equal(true)
  })

  afterEach(async () => {
    client.close()
    await sidecar.close()
    await keyManager.close()
  })

  /** On the connection made before all this, and on a new one. */
  async function expectServing(): Promise<void> {
    const another = connectChecks(sidecar.address)
    const replies = await Promise.all([client.check(check), another.check(check)])
    another.close()
    expect(replies.map((reply) => seenIn(reply).allowed)).to.deep.equal([true, true])
    expect([sidecar].filter((one) => !one.isAlive())).to.have.length(FIGURES.F34.crashes)
    expect(sidecar.output()).to.not.match(/uncaught_exception|unhandled_rejection|check_failed/)
  }

  function openRaw(...frames: readonly Buffer[]): Socket {
    const socket = openSocket(Number(sidecar.address.split(':').at(-1)), '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(Buffer.concat([PREFACE, ...frames]))
    return socket
  }

  it('reads messages of 5 MiB; garbage of that length is malformed', async () => {
    const garbage = await client.raw(Buffer.alloc(FIGURES.F34.messageBytes, 0xff))
    expect(seenIn(decodeReply(garbage)).reason).to.equal('malformed_request')
    const filler = 'x'.repeat(FIGURES.F34.messageBytes)
    const whole = await client.check(httpCheck({ headers: { authorization: 'Bearer t', filler } }))
    expect(seenIn(whole).allowed).to.equal(true)
    await expectServing()
  })

  it('serves on after 100,000 streams opened and reset', async () => {
    const message = framed(check)
    let opened = 0
    while (opened < FIGURES.F34.streams) {
      const session = openSession(`http://${sidecar.address}`)
      session.on('error', () => undefined)
      await once(session, 'remoteSettings')
      // nghttp2's client gives up at times: on with a new connection.
      while (opened < FIGURES.F34.streams && !session.closed && !session.destroyed) {
        opened += await openAndReset(session, AT_ONCE, message)
      }
      session.destroy()
    }
    expect(opened).to.be.at.least(FIGURES.F34.streams)
    await expectServing()
    expect(await sidecar.metric('microgw_checks_in_flight')).to.equal(0)
  }).timeout(60_000)

  it('answers the Check of one client on the connection on which those of others are reset', async () => {
    const arrived = Promise.withResolvers<void>()
    const held = Promise.withResolvers<void>()
    keyManager.answer(async () => {
      arrived.resolve()
      await held.promise
      return { body: { active: true, exp: inSeconds(300) } }
    })
    const session = openSession(`http://${sidecar.address}`)
    session.on('error', () => undefined)
    await once(session, 'remoteSettings')
    const innocent = session.request(CALL)
    innocent.end(
      framed(httpCheck({ method: 'GET', path: '/', host: 'h', headers: { authorization: 'Bearer another' } })),
    )
    await arrived.promise
    // Envoy has few connections and resets a Check when its client goes away: nghttp2 ends one after 1,000 by default.
    for (let reset = 0; reset < 5000; reset += AT_ONCE) await openAndReset(session, AT_ONCE, framed(check))
    held.resolve()
    const chunks: Buffer[] = []
    for await (const chunk of innocent) chunks.push(chunk)
    session.destroy()
    expect(seenIn(decodeReply(Buffer.concat(chunks).subarray(5))).allowed).to.equal(true)
  })

  it('answers what it took of a burst beyond 1,024 Checks on a new connection, and refuses the rest', async () => {
    const held = Promise.withResolvers<void>()
    keyManager.answer(async () => {
      await held.promise
      return { body: { active: true, exp: inSeconds(300) } }
    })
    // Before the server's SETTINGS have come there is no other limit. nghttp2 ends a session after 1,000 invalid frames,
    // among which Node counts what it refuses.
    const session = openSession(`http://${sidecar.address}`, { peerMaxConcurrentStreams: 3000 })
    session.on('error', () => undefined)
    let refused = 0
    const ends = Array.from({ length: 2500 }, () => {
      const stream = session.request(CALL)
      return new Promise<string>((resolve) => {
        stream.on('trailers', (trailers) => resolve(String(trailers['grpc-status'])))
        stream.on('error', () => {
          refused += 1
          if (refused === 2500 - 1024) held.resolve()
          resolve(`code ${stream.rstCode}`)
        })
        stream.resume().end(framed(check))
      })
    })
    const seen = await Promise.all(ends)
    session.destroy()
    const count = (end: string): number => seen.filter((one) => one === end).length
    expect([count('0'), count(`code ${constants.NGHTTP2_REFUSED_STREAM}`)]).to.deep.equal([1024, 2500 - 1024])
  })

  it('ends a connection of malformed frames, and no other', async () => {
    for (const [name, bytes] of Object.entries(MALFORMED)) {
      const socket = openRaw(NO_SETTINGS, bytes)
      socket.resume()
      await once(socket, 'close')
      expect(sidecar.isAlive(), name).to.equal(true)
    }
    await expectServing()
  })

  it('passes over a frame of an unknown type', async () => {
    const data = Buffer.from('stillhere')
    const socket = openRaw(
      NO_SETTINGS,
      frame(UNKNOWN, 0xff, 0, Buffer.alloc(4096, 0xaa)),
      frame(PING, 0, 0, data.subarray(0, 8)),
    )
    const pong = frame(PING, ACK, 0, data.subarray(0, 8))
    let seen = Buffer.alloc(0)
    for await (const chunk of socket) {
      seen = Buffer.concat([seen, chunk])
      if (seen.includes(pong)) break
    }
    expect(seen.includes(pong)).to.equal(true)
    await expectServing()
  })
})

/** Behind the length prefix of gRPC. */
function framed(check: CheckRequestObject): Buffer {
  const bytes = encodeCheck(check)
  const message = Buffer.concat([Buffer.alloc(5), bytes])
  message.writeUInt32BE(bytes.length, 1)
  return message
}

/** Resolves with how many the server has seen opened and reset: none of them where it ended the session meanwhile. */
async function openAndReset(session: ClientHttp2Session, count: number, message: Buffer): Promise<number> {
  const closed: Promise<void>[] = []
  for (let i = 0; i < count; i++) {
    const stream = session.request(CALL)
    stream.on('error', () => undefined)
    closed.push(new Promise((resolve) => stream.once('close', () => resolve())))
    // Half of them in the middle of their message, half with all of it sent.
    stream.write(i % 2 === 0 ? message.subarray(0, 20) : message)
    stream.close(constants.NGHTTP2_CANCEL)
  }
  await Promise.all(closed)
  return new Promise((resolve) => {
    const none = (): void => resolve(0)
    session.once('close', none)
    const answered = (error: Error | null): void => {
      session.off('close', none)
      resolve(error === null ? count : 0)
    }
    if (session.closed || session.destroyed || !session.ping(answered)) none()
  })
}
