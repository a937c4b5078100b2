import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { basicConfig } from '../support/app.ts'
import { connectChecks, httpCheck } from '../support/check-client.ts'
import { startKeyManager } from '../support/key-manager.ts'
import { inSeconds, type Pair, seenIn, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'
import { startOwnProcess } from './own-process.ts'

describe('F09 a body without end', () => {
  it('is cut at maxAnswerSize, and 1 GB leaves the memory as it was', async () => {
    const keyManager = await startKeyManager()
    const sidecar = await startOwnProcess(basicConfig(keyManager.url))
    const client = connectChecks(sidecar.address)
    const ask = async (token: string): Promise<string> =>
      seenIn(await client.check(httpCheck({ headers: { authorization: `Bearer ${token}` } }))).reason
    let bodyBytes: number = FIGURES.F09.capBytes + 1
    let written = 0
    let ended: Promise<unknown> = Promise.resolve()
    keyManager.answer((_, { response }) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': bodyBytes })
      ended = once(response, 'close')
      stream(response, bodyBytes, (bytes) => {
        written += bytes
      })
      return undefined
    })
    try {
      // Just too long, until the memory of the process has settled.
      for (let i = 0; i < 300; i++) expect(await ask(`warm${i}`)).to.equal('key_manager_unavailable')
      const before = await sidecar.rssBytes()
      bodyBytes = FIGURES.F09.bodyBytes
      written = 0
      expect(await ask('big')).to.equal('key_manager_unavailable')
      await ended
      const after = await sidecar.rssBytes()
      expect(after - before).to.be.at.most(FIGURES.F09.rssBytes)
      expect(await sidecar.metric('microgw_introspections_total{outcome="malformed"}')).to.equal(301)
      // The connection was cut there: besides the cap only what the socket buffers took.
      expect(written).to.be.lessThan(FIGURES.F09.capBytes + FIGURES.F09.socketBufferBytes)
    } finally {
      client.close()
      await sidecar.close()
      await keyManager.close()
    }
  })
})

describe('F09 an encoded body', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('is refused when it is encoded though identity was asked for', async () => {
    pair = await startPair()
    const body = gzipSync(JSON.stringify({ active: true, exp: inSeconds(300) }))
    pair.keyManager.answer({ headers: { 'content-encoding': 'gzip', 'content-type': 'application/json' }, body })
    expect((await pair.ask('Bearer zip')).reason).to.equal('key_manager_unavailable')
    expect(pair.keyManager.requests[0]?.headers['accept-encoding']).to.equal('identity')
  })

  it('is refused where it only says that it is encoded', async () => {
    pair = await startPair()
    const body = JSON.stringify({ active: true, exp: inSeconds(300) })
    pair.keyManager.answer({ headers: { 'content-encoding': 'gzip', 'content-type': 'application/json' }, body })
    expect((await pair.ask('Bearer label')).reason).to.equal('key_manager_unavailable')
  })

  it('is refused, and never unpacked, when it is a compression bomb', async () => {
    pair = await startPair()
    // Small enough for maxAnswerSize as it is sent: only unpacking would do harm.
    const bomb = brotliCompressSync(Buffer.alloc(FIGURES.F09.bombBytes), {
      params: { [constants.BROTLI_PARAM_QUALITY]: 5 },
    })
    expect(bomb.length).to.be.lessThan(FIGURES.F09.capBytes)
    pair.keyManager.answer({ headers: { 'content-encoding': 'br', 'content-type': 'application/json' }, body: bomb })
    const before = process.memoryUsage.rss()
    expect((await pair.ask('Bearer bomb')).reason).to.equal('key_manager_unavailable')
    expect(process.memoryUsage.rss() - before).to.be.at.most(FIGURES.F09.rssBytes)
    expect(await pair.metric('microgw_introspections_total{outcome="malformed"}')).to.equal(1)
  })
})

const CHUNK = Buffer.alloc(64 * 1024, ' ')

/** Writes a body in chunks, never more than the socket takes, until it is complete or the other side has gone. */
function stream(response: ServerResponse, bytes: number, wrote: (bytes: number) => void): void {
  let left = bytes
  const more = (): void => {
    while (left > 0 && !response.destroyed) {
      const chunk = CHUNK.subarray(0, Math.min(left, CHUNK.length))
      left -= chunk.length
      wrote(chunk.length)
      if (!response.write(chunk)) {
        response.once('drain', more)
        return
      }
    }
    response.end()
  }
  more()
}
