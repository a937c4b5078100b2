import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

describe('F09 a body without end, or encoded', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('is cut at maxAnswerSize', async () => {
    pair = await startPair()
    let written = 0
    pair.keyManager.answer((_, { response }) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const chunk = Buffer.alloc(16 * 1024, 32)
      const more = (): void => {
        while (!response.destroyed && written < 1e9 && response.write(chunk)) written += chunk.length
        if (!response.destroyed) response.once('drain', more)
      }
      more()
      return undefined
    })
    expect((await pair.ask('Bearer big')).reason).to.equal('key_manager_unavailable')
    // Besides the cap only what the socket buffers took.
    expect(written).to.be.lessThan(FIGURES.F09.bodyBytes + 16 * 1024 * 1024)
  })

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
    expect(bomb.length).to.be.lessThan(FIGURES.F09.bodyBytes)
    pair.keyManager.answer({ headers: { 'content-encoding': 'br', 'content-type': 'application/json' }, body: bomb })
    const before = process.memoryUsage.rss()
    expect((await pair.ask('Bearer bomb')).reason).to.equal('key_manager_unavailable')
    expect(process.memoryUsage.rss() - before).to.be.at.most(FIGURES.F09.rssBytes)
    expect(await pair.metric('microgw_introspections_total{outcome="malformed"}')).to.equal(1)
  })
})
