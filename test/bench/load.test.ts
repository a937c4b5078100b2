/** The load generator: that what it was not given is seen, and that no server can hold a bench up. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { checkRequest, checkTarget, tokenOf } from '../../bench/checks.ts'
import { runClosedLoop } from '../../bench/load/closed-loop.ts'
import { grpcMessage } from '../../bench/load/frames.ts'
import { runOpenLoop } from '../../bench/load/open-loop.ts'
import { expectReplies, SILENCE_MS } from '../../bench/load/replies.ts'
import { connectInspector } from '../../bench/machine/inspector.ts'
import { freePort } from '../../scripts/envoy.ts'
import { createFakeClock } from '../support/clock.ts'

const ALLOW = grpcMessage(Buffer.from([0x0a, 0x02, 0x08, 0x00]))
const DENY = grpcMessage(Buffer.from([0x0a, 0x02, 0x08, 0x07]))
const next = () => checkRequest(tokenOf(0))

const LOOPS = {
  closed: (port: number) =>
    runClosedLoop({ target: checkTarget(port), connections: 2, streams: 4, total: 1000, next }).then(() => 'done'),
  open: (port: number) =>
    runOpenLoop({ target: checkTarget(port), connections: 2, perSecond: 10_000, seconds: 0.1, next }).then(
      () => 'done',
    ),
}

describe('the load generator', () => {
  let server: Server | undefined
  afterEach(() => server?.close())

  async function listen(opened: Server): Promise<number> {
    server = opened.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }
  const answering = (answer: (stream: ServerHttp2Stream) => void): Promise<number> =>
    listen(
      createHttp2Server().on('stream', (stream) => {
        stream.on('error', () => undefined)
        answer(stream)
      }) as unknown as Server,
    )
  const replying = (message: Buffer) => (stream: ServerHttp2Stream) => {
    stream.resume()
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' })
    stream.end(message)
  }

  for (const [name, run] of Object.entries(LOOPS)) {
    it(`${name} loop: ends where every reply is an allow`, async () => {
      expect(await run(await answering(replying(ALLOW)))).to.equal('done')
    })

    it(`${name} loop: fails where every Check is denied`, async () => {
      const ended = await run(await answering(replying(DENY))).catch(String)
      expect(ended).to.contain('1000 of 1000 replies were not an allow')
    })

    it(`${name} loop: fails where the server dies under load`, async () => {
      let answered = 0
      const port = await answering((stream) => {
        answered += 1
        if (answered > 20) stream.session?.destroy()
        else replying(ALLOW)(stream)
      })
      const ended = await run(port).catch(String)
      expect(ended).to.match(/\d+ of 1000 replies were not an allow/)
    })
  }

  it('hands on how many were denied where some may be', async () => {
    const port = await answering(replying(DENY))
    const loop = { target: checkTarget(port), connections: 1, streams: 2, total: 10, next, mayBeDenied: true }
    expect((await runClosedLoop(loop)).denied).to.equal(10)
  })

  it('open loop: says how late each request was sent, and which rate that made', async () => {
    const port = await answering(replying(ALLOW))
    let time = 0
    const stall = (index: number) => {
      if (index === 8) time += 50
      return next()
    }
    const run = { target: checkTarget(port), connections: 1, perSecond: 100, seconds: 0.1, next: stall }
    const now = () => {
      time += 0.001
      return time
    }
    const { latenessMs, latenciesMs, achievedPerSecond } = await runOpenLoop({ ...run, now })
    expect(latenessMs[7]).to.be.within(0, 1)
    expect(latenessMs[8]).to.be.within(50, 51)
    // Due 10 ms after the one that was held up.
    expect(latenessMs[9]).to.be.within(40, 41)
    expect(Math.max(...latenciesMs)).to.be.above(50)
    expect(achievedPerSecond).to.be.within(70, 72)
  })

  it('gives up on a server that is connected and silent', async () => {
    const clock = createFakeClock()
    const asked = Promise.withResolvers<void>()
    const port = await listen(createServer((socket) => socket.on('error', () => undefined).once('data', asked.resolve)))
    const loop = { target: checkTarget(port), connections: 1, streams: 2, total: 10, next, clock }
    const ended = runClosedLoop(loop).catch(String)
    await asked.promise
    clock.advance(SILENCE_MS)
    expect(await ended).to.contain('0 of 10 replies, then none for 30 s')
  })

  it('waits on while replies come, however long that takes', async () => {
    const clock = createFakeClock()
    const replies = expectReplies({ total: 3, clock })
    for (let reply = 0; reply < 3; reply += 1) {
      clock.advance(SILENCE_MS - 1)
      replies.count(true)
    }
    expect(await replies.denied).to.equal(0)
    expect(clock.pending()).to.equal(0)
  })
})

describe('the inspector', () => {
  it('fails a call that the process does not live to answer, and every later one', async () => {
    const port = await freePort()
    const command = [`--inspect=127.0.0.1:${port}`, '-e', 'console.log(1); setTimeout(() => undefined, 1e6)']
    const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'ignore'] })
    await once(child.stdout, 'data')
    const inspector = await connectInspector(port)
    const never = { expression: 'new Promise(() => undefined)', awaitPromise: true }
    const call = inspector.call('Runtime.evaluate', never)
    child.kill('SIGKILL')
    expect(await call.catch(String)).to.contain('the inspected process has ended')
    expect(await inspector.call('Runtime.enable').catch(String)).to.contain('the inspected process has ended')
  })
})
