import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { type Pair, startPair } from '../support/pair.ts'

describe('F38 newlines, escapes and 1 MiB in path and host', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('make one line of JSON each, escaped and cut', async () => {
    pair = await startPair()
    const path = `/a\n\u001b[31m"}{${'x'.repeat(1024 * 1024)}?secret=query`
    expect((await pair.ask(undefined, { path })).reason).to.equal('missing_credentials')
    const lines = pair.running.logs.filter((line) => line.includes('missing_credentials'))
    expect(lines).to.have.length(1)
    const [line = ''] = lines
    expect(line.trimEnd()).to.not.contain('\n').and.not.contain('\u001b')
    expect(line.length).to.be.lessThan(8192)
    expect(JSON.parse(line)).to.include({ reason: 'missing_credentials' })
    expect(line).to.not.contain('secret=query')
  })
})
