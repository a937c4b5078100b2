import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { forwardLines } from '../../../src/workers/whole-lines.ts'

describe('the lines of several workers in one log', () => {
  it('stay whole, whatever pieces they come in', async () => {
    const streams = [new PassThrough(), new PassThrough()]
    let written = ''
    for (const stream of streams)
      forwardLines(stream, (lines) => {
        written += lines
      })
    // Longer than PIPE_BUF, cut within a line and within a character.
    const lines = ['a', 'b'].map((name) => `{"worker":"${name}","path":"${'ü'.repeat(5000)}"}\n`)
    const bytes = lines.map((line) => Buffer.from(line + line))
    const ends = streams.map((stream) => new Promise((resolve) => stream.once('end', resolve)))
    for (let at = 0; at < (bytes[0]?.length ?? 0); at += 777)
      for (const [index, stream] of streams.entries()) {
        stream.write(bytes[index]?.subarray(at, at + 777))
        await new Promise(setImmediate)
      }
    for (const stream of streams) stream.end('half')
    await Promise.all(ends)
    const all = written.split('\n')
    expect(all.filter((line) => line.startsWith('{')).toSorted()).to.deep.equal(
      [...lines, ...lines].map((line) => line.trimEnd()).toSorted(),
    )
    expect(all.filter((line) => !line.startsWith('{'))).to.deep.equal(['half', 'half', ''])
  })
})
