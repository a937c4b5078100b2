/** Canary secrets through every path a person or a machine can read: none of them ever comes out again. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { runCheck } from '../src/commands/check.ts'
import { runCheckConfig } from '../src/commands/check-config.ts'
import { runIntrospect } from '../src/commands/introspect.ts'
import { ConfigurationError } from '../src/config/configuration-error.ts'
import { decideOnce } from '../src/graph.ts'
import { basicConfig, startTestApp } from './support/app.ts'
import { captureIo } from './support/io.ts'
import type { Handler, ScriptedAnswer } from './support/key-manager.ts'
import { inSeconds, type Pair, startPair } from './support/pair.ts'

const TOKEN = 'canary-token-8151'
const SECRET = 'canary-secret:%8151'
/** As they are, and as Basic, form and URL encoding spell them. */
const SPELLINGS = [
  TOKEN,
  SECRET,
  encodeURIComponent(SECRET),
  Buffer.from(`gateway:${SECRET}`).toString('base64'),
  Buffer.from(TOKEN).toString('base64').replace(/=+$/, ''),
]

function expectNone(output: string): void {
  expect(SPELLINGS.filter((spelling) => output.includes(spelling))).to.deep.equal([])
}

/** Everything a key manager can do with what it was sent, the echo of it included. */
const ANSWERS: readonly (ScriptedAnswer | Handler)[] = [
  { body: { active: true, exp: inSeconds(300), token: TOKEN, sub: 'alice' } },
  { body: { active: false, error_description: TOKEN } },
  { status: 400, body: { error: TOKEN, error_description: SECRET } },
  { status: 401, headers: { 'www-authenticate': `Basic realm="${SECRET}"` }, body: TOKEN },
  { status: 429, headers: { 'retry-after': TOKEN }, body: SECRET },
  { status: 500, body: `${TOKEN} ${SECRET}` },
  { status: 302, headers: { location: `http://127.0.0.1:1/?token=${TOKEN}` } },
  { headers: { 'content-type': TOKEN }, body: SECRET },
  { headers: { 'content-type': 'application/json', 'content-encoding': TOKEN }, body: '{}' },
  { headers: { 'content-type': 'application/json' }, body: `{"active":true,"sub":"${SECRET}` },
  { body: { active: true, exp: TOKEN, aud: { [SECRET]: TOKEN } } },
  (_, { socket }) => {
    socket.end(`HTTP/1.1 200 ${SECRET}\r\n${TOKEN}\r\n\r\n`)
    return undefined
  },
  (_, { socket }) => {
    socket.destroy()
    return undefined
  },
]

describe('canary secrets come out nowhere', () => {
  let pair: Pair
  beforeEach(async () => {
    pair = await startPair({
      toml: '[log]\nlevel = "debug"\nallow = true\n',
      flags: {
        'keyManager.security.basic.password': SECRET,
        'keyManager.timeout': '500ms',
        'keyManager.breaker.failures': '1000',
      },
    })
  })
  afterEach(() => pair.close())

  const logs = (): string => pair.running.logs.join('')

  async function pages(): Promise<string> {
    const { admin, localAdmin } = pair.running.app.addresses
    const local = ['config', 'status', 'decisions', `decisions/${TOKEN}`, '', TOKEN].map(
      (page) => `${localAdmin}/${page}`,
    )
    const urls = [`${admin}/metrics`, `${admin}/livez`, `${admin}/readyz`, `${admin}/${TOKEN}`, ...local]
    const texts = urls.map(async (url) => (await fetch(`http://${url}?access_token=${TOKEN}`)).text())
    return (await Promise.all(texts)).join('\n')
  }

  it('whatever the key manager answers: logs, metrics, admin pages, replies', async () => {
    const replies: string[] = []
    for (const [index, answer] of ANSWERS.entries()) {
      pair.keyManager.answer(answer)
      const more = { path: `/x?access_token=${TOKEN}`, headers: { cookie: TOKEN, 'x-api-key': SECRET } }
      replies.push(JSON.stringify(await pair.ask(`Bearer ${TOKEN}.${index}`, more)))
    }
    const output = [logs(), ...replies, await pages()].join('\n')
    expect(output).to.contain('"alice"').and.contain('key_manager_unavailable')
    expectNone(output)
    expect(pair.keyManager.requests[0]?.form.get('token')).to.equal(`${TOKEN}.0`)
    expect(pair.keyManager.requests[0]?.headers['authorization']).to.equal(`Basic ${SPELLINGS[3]}`)
  })

  it('whatever the client sends as credentials', async () => {
    const odd = [`Basic ${TOKEN}`, `Bearer ${TOKEN} x`, `Bearer ${TOKEN},Bearer ${TOKEN}`, `Bearer\t${TOKEN}`, TOKEN]
    const values = [...odd, `Bearer ${TOKEN}${'x'.repeat(9000)}`]
    const replies = await Promise.all(values.map((value) => pair.ask(value)))
    expect(replies.some((one) => one.allowed)).to.equal(false)
    expectNone([logs(), JSON.stringify(replies), await pages()].join('\n'))
  })

  it('in the query of introspectUrl, where some gateways want an API key', async () => {
    const url = `${pair.keyManager.url}?apikey=${TOKEN}`
    pair.running.rewrite(basicConfig(url))
    expect(await pair.running.app.reload()).to.equal('success')
    await pair.ask('Bearer t')
    expect(pair.keyManager.requests.at(-1)?.path).to.contain(`?apikey=${TOKEN}`)
    pair.keyManager.answer({ status: 500 })
    await pair.ask('Bearer u')
    const output = [
      logs(),
      await pages(),
      await (await fetch(`http://${pair.running.app.addresses.localAdmin}/config`)).text(),
    ]
    expectNone(output.join('\n'))
    expect(output.join('\n')).to.contain(`${pair.keyManager.url}?[redacted]`)
  })

  it('in a configuration that is not usable: error, check-config, reload', async () => {
    const broken = `[keyManager]
external = true
introspectUrl = "https://gateway:${encodeURIComponent(SECRET)}@idp.example.com/introspect"
[keymanager.security.basic]
enabled = "${SECRET}"
username = ""
pasword = "${SECRET}"
password = "@encrypted:{${TOKEN}}"
`
    pair.running.rewrite(broken)
    expect(await pair.running.app.reload()).to.equal('failure')
    const thrown = await startTestApp(broken).catch((error: unknown) => error)
    expect(thrown).to.be.instanceOf(ConfigurationError)
    const problems = thrown instanceof ConfigurationError ? JSON.stringify([thrown.problems, String(thrown.stack)]) : ''
    const io = captureIo()
    expect(await runCheckConfig(['--config', pair.running.configFile, '--wso2'], {}, io)).to.equal(1)
    expectNone([logs(), problems, io.output(), io.errors(), await pages()].join('\n'))
  })

  it('in a usable configuration: check-config of secrets written out, from the environment and from a file', async () => {
    const file = join(pair.running.dir, 'password')
    writeFileSync(file, SECRET)
    for (const password of [SECRET, '@env:{CANARY}', `@file:{${file}}`]) {
      const config = join(pair.running.dir, 'usable.conf')
      writeFileSync(
        config,
        `[keyManager]
external = true
introspectUrl = "${pair.keyManager.url}"
[keymanager.security.basic]
enabled = true
username = "gateway"
password = "${password}"
`,
      )
      const io = captureIo()
      const env = { CANARY: SECRET }
      expect(await runCheckConfig(['--config', config, '--wso2'], env, io), io.output()).to.equal(0)
      expectNone(io.output() + io.errors())
    }
  })

  it('on the command line: introspect and check', async () => {
    const config = ['--config', pair.running.configFile]
    for (const answer of ANSWERS) {
      pair.keyManager.answer(answer)
      const io = captureIo(`${TOKEN}\n`)
      await runIntrospect(config, { keyManager_security_basic_password: SECRET }, io, decideOnce)
      expect(io.output() + io.errors()).to.not.equal('')
      expectNone(io.output() + io.errors())
    }
    const io = captureIo()
    const address = pair.running.app.addresses.extAuthz[0] ?? ''
    await runCheck(['--address', address, '--header', `authorization: Bearer ${TOKEN} x`], {}, io)
    expect(io.output()).to.contain('DENY')
    expectNone(io.output() + io.errors())
  })
})
