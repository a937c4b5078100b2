import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

describe('F32 a canary token and canary secrets through every path', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('are in no log, metric, admin page or reply', async () => {
    const token = 'canary-token-4711'
    const secret = 'canary-secret-4711'
    pair = await startPair({
      toml: '[log]\nlevel = "debug"\nallow = true\n',
      flags: {
        'keyManager.security.basic.password': secret,
        'keyManager.timeout': '200ms',
        'keyManager.breaker.failures': '1000',
      },
    })
    const answers = [
      { body: { active: true, exp: inSeconds(300) } },
      { status: 500, body: `${token} ${secret}` },
      { status: 401, body: token },
      { status: 302, headers: { location: `http://127.0.0.1/?token=${token}` } },
      { headers: { 'content-type': 'application/json' }, body: `{"active":"${token}` },
    ]
    const replies: string[] = []
    for (const [i, answer] of answers.entries()) {
      pair.keyManager.answer(answer)
      replies.push(JSON.stringify(await pair.ask(`Bearer ${token}${i}`, { path: `/x?access_token=${token}` })))
    }
    pair.keyManager.answer((_, { socket }) => {
      socket.destroy()
      return undefined
    })
    replies.push(JSON.stringify(await pair.ask(`Bearer ${token}-dropped`)))
    replies.push(JSON.stringify(await pair.ask(`Bearer ${token} malformed`)))
    const { admin, localAdmin } = pair.running.app.addresses
    const pages = await Promise.all(
      [
        `${admin}/metrics`,
        `${localAdmin}/config`,
        `${localAdmin}/status`,
        `${localAdmin}/decisions`,
        `${localAdmin}/`,
      ].map(async (url) => (await fetch(`http://${url}`)).text()),
    )
    const output = [...pair.running.logs, ...replies, ...pages].join('\n')
    expect(output.length).to.be.greaterThan(5000)
    expect(output.split(/canary-(?:token|secret)-4711/).length - 1).to.equal(FIGURES.F32.occurrences)
    // The key manager alone was told.
    expect(pair.keyManager.requests[0]?.form.get('token')).to.equal(`${token}0`)
  })
})
