/** Load by h2load, which takes a gRPC error for a success. */
import { once } from 'node:events'
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { afterEach, before, describe, it } from 'mocha'
import { ALLOWED, checkRequest, checkTarget, tokenOf } from '../../bench/checks.ts'
import { grpcMessage } from '../../bench/load/frames.ts'
import { sendOneCheck } from '../../bench/load/one-check.ts'
import { saturate } from '../../bench/load/saturate.ts'
import { h2loadOrSkip } from './run.ts'

const DENIED = Buffer.from([0x0a, 0x02, 0x08, 0x07])

function answer(stream: ServerHttp2Stream, message: Buffer): void {
  stream.resume()
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
  stream.end(grpcMessage(message))
}

function exhausted(stream: ServerHttp2Stream): void {
  stream.resume()
  const head = { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '8' }
  stream.respond(head, { endStream: true })
}

describe('a server whose replies are no allow', () => {
  let server: Http2Server | undefined
  afterEach(() => server?.close())

  async function listen(onStream: (stream: ServerHttp2Stream) => void): Promise<number> {
    server = createServer().on('stream', onStream)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }
  const load = async (port: number): Promise<string> => {
    const run = { pid: process.pid, target: checkTarget(port), total: 400, requests: [checkRequest(tokenOf(0))] }
    return saturate({ ...run, by: 'h2load' }).then(({ perSecond }) => (perSecond > 0 ? 'measured' : 'nothing'), String)
  }

  it('is found out by the one Check before the load', async () => {
    const port = await listen((stream) => answer(stream, DENIED))
    expect(await sendOneCheck(port, Buffer.alloc(0)).catch(String)).to.contain('the reply was not an allow')
  })

  describe('under load by h2load', () => {
    before(function () {
      h2loadOrSkip(this)
    })

    it('is measured where every Check is allowed', async () => {
      expect(await load(await listen((stream) => answer(stream, ALLOWED)))).to.equal('measured')
    })

    it('is found out by the bytes where it fails under load, with HTTP status 200', async () => {
      let answered = 0
      const port = await listen((stream) => {
        answered += 1
        if (answered === 300) exhausted(stream)
        else answer(stream, ALLOWED)
      })
      expect(await load(port)).to.contain('replies of 3591 bytes, 3600 expected')
    })
  })
})
