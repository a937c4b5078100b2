import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { httpCheck } from '../support/check-client.ts'
import { inSeconds, type Pair, seenIn, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

const HOSTILE = 'a\n\r\u001b[31m"}{\u0085\u2028\u2029'

describe('F38 newlines, escape sequences and 1 MiB in path and host, 32 KiB in a claim', () => {
  let pair: Pair
  afterEach(() => pair.close())

  /** The one line of this reason: JSON, whole, short. */
  const lineOf = (reason: string): string => {
    const lines = pair.running.logs.filter((line) => line.includes(`"${reason}"`))
    expect(lines).to.have.length(FIGURES.F38.linesAnEvent)
    const [line = ''] = lines
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
    expect(line.trimEnd()).not.to.match(/[\u0000-\u001f\u007f]/)
    expect(line.length).to.be.lessThan(8192)
    expect(JSON.parse(line)).to.include({ reason })
    return line
  }

  it('in the path make one line of JSON, escaped and cut, without the query', async () => {
    pair = await startPair()
    const path = `/${HOSTILE}${'x'.repeat(1024 * 1024)}?secret=query`
    expect((await pair.ask(undefined, { path })).reason).to.equal('missing_credentials')
    expect(lineOf('missing_credentials')).to.not.contain('secret=query')
  })

  it('in the host, the method and x-request-id make one line of JSON, escaped and cut', async () => {
    pair = await startPair()
    const request = httpCheck({
      method: HOSTILE,
      host: HOSTILE + 'h'.repeat(1024 * 1024),
      headers: { 'x-request-id': HOSTILE + 'i'.repeat(1024 * 1024) },
    })
    expect(seenIn(await pair.client.check(request)).reason).to.equal('missing_credentials')
    lineOf('missing_credentials')
  })

  it('in a claim drop the header, which is removed, and make one line of JSON on allow and deny', async () => {
    pair = await startPair({ toml: '[log]\nallow = true\n[policy]\naudience = ["here"]\n' })
    const claim = HOSTILE + 'c'.repeat(FIGURES.F38.claimBytes)
    pair.keyManager.tokens.set('allowed', {
      active: true,
      sub: claim,
      aud: 'here',
      exp: inSeconds(60),
    })
    pair.keyManager.tokens.set('denied', { active: true, sub: claim, aud: HOSTILE, exp: inSeconds(60) })
    const allowed = await pair.ask('Bearer allowed')
    expect(allowed.reason).to.equal('allowed')
    expect(allowed.headers).not.to.have.property('x-auth-subject')
    expect(allowed.removed).to.include('x-auth-subject')
    lineOf('allowed')
    expect((await pair.ask('Bearer denied')).reason).to.equal('wrong_audience')
    lineOf('wrong_audience')
  })
})
