import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import type { CheckView } from '../../../src/authz/ports.ts'
import { type DecideOnce, runIntrospect } from '../../../src/commands/introspect.ts'
import { ALLOWED, denied } from '../../support/fake-pipeline.ts'
import { captureIo } from '../../support/io.ts'
import { type ScriptedKeyManager, startKeyManager } from '../../support/key-manager.ts'

describe('introspect', () => {
  let keyManager: ScriptedKeyManager
  let directory: string
  let config: string
  let checks: CheckView[]

  /** Stands for the application's decision: one introspection, nothing else. */
  const decide: DecideOnce = async (_config, { introspector }, check) => {
    checks.push(check)
    const token = check.credentials?.slice('Bearer '.length) ?? ''
    const outcome = await introspector.introspect(token, { wanted: true, whenLost: undefined })
    return outcome.kind === 'active' ? ALLOWED : denied('inactive_token')
  }

  beforeEach(async () => {
    checks = []
    keyManager = await startKeyManager()
    directory = mkdtempSync(join(tmpdir(), 'introspect-'))
    config = join(directory, 'micro-gw.conf')
    writeFileSync(
      config,
      `[keyManager]
external = true
introspectUrl = "${keyManager.url}"
allowInsecure = true
[keymanager.security.basic]
enabled = true
username = "gateway"
password = "canary-password"
`,
    )
  })

  afterEach(async () => {
    await keyManager.close()
    rmSync(directory, { recursive: true })
  })

  it('explains a good token from standard input, and ends with 0', async () => {
    keyManager.tokens.set('canary-token', { active: true, sub: 'alice', echoed: 'canary-token' })
    const io = captureIo('canary-token\n')
    const exit = await runIntrospect(['--config', config, '--method', 'POST', '--path', '/x'], {}, io, decide)
    expect(exit, io.errors()).to.equal(0)
    expect(io.output()).to.contain('1. Sent').and.contain(keyManager.url).and.contain('user gateway')
    expect(io.output()).to.contain('2. Came back after').and.contain('"sub": "alice"')
    expect(io.output()).to.contain('3. Decision').and.contain('ALLOW: allowed')
    expect(io.output() + io.errors()).not.to.contain('canary')
    expect(keyManager.requests).to.have.length(1)
    expect(keyManager.requests[0]?.form.get('token')).to.equal('canary-token')
    expect(checks[0]).to.include({ method: 'POST', path: '/x', credentials: 'Bearer canary-token' })
  })

  it('explains a refused token from a file, and ends with 1', async () => {
    const file = join(directory, 'token')
    writeFileSync(file, 'Bearer canary-token')
    const io = captureIo()
    expect(await runIntrospect([`@${file}`, '--config', config], {}, io, decide)).to.equal(1)
    expect(io.output()).to.contain('inactive').and.contain('DENY: inactive_token')
  })

  for (const argument of ['canary-token', '--canary-Token.x', '-canary']) {
    it(`refuses ${argument} as an argument without repeating it`, async () => {
      const io = captureIo()
      expect(await runIntrospect([argument, '--config', config], {}, io, decide)).to.equal(2)
      expect(io.output() + io.errors()).not.to.contain('canary')
      expect(keyManager.requests).to.have.length(0)
    })
  }

  const oauth2 = (url: string, secret = 'canary-secret'): string => `[keyManager]
external = true
introspectUrl = "${url}"
[keymanager.security.oauth2]
enabled = true
tokenUrl = "${url.replace('/introspect', '/token')}"
[keymanager.security.oauth2.clientCredential]
enabled = true
clientId = "gateway"
clientSecret = "${secret}"
scopes = "introspection"
`
  it('walks through the own token: client, grant, life, then the introspection', async () => {
    writeFileSync(config, oauth2(keyManager.url))
    keyManager.answer((request) =>
      request.path.endsWith('/token')
        ? { body: { access_token: 'canary-own', token_type: 'Bearer', expires_in: 120 } }
        : { body: { active: request.headers['authorization'] === 'Bearer canary-own' } },
    )
    const io = captureIo('canary-token\n')
    expect(await runIntrospect(['--config', config], {}, io, decide), io.errors()).to.equal(0)
    expect(io.output())
      .to.contain('0. Own token')
      .and.contain('grant: client_credentials at')
      .and.contain('user gateway')
    expect(io.output()).to.match(/good for 1[12]\d s/)
    expect(io.output()).not.to.contain('canary')
  })

  const failures: readonly (readonly [string, number, object | string, RegExp])[] = [
    ['a wrong secret', 401, { error: 'invalid_client' }, /check clientId and clientSecret/],
    ['a wrong secret, as Keycloak says it', 401, { error: 'unauthorized_client' }, /check clientId and clientSecret/],
    ['a grant that is not allowed', 400, { error: 'unauthorized_client' }, /does not allow this grant/],
    ['a wrong scope', 400, { error: 'invalid_scope' }, /check scopes/],
    ['a wrong address', 200, '<html>', /check tokenUrl/],
  ]
  for (const [what, status, body, advice] of failures) {
    it(`says what to change after ${what} at the token endpoint`, async () => {
      writeFileSync(config, oauth2(keyManager.url))
      keyManager.answer({ status, body })
      const io = captureIo('canary-token\n')
      expect(await runIntrospect(['--config', config], {}, io, decide)).to.equal(1)
      expect(io.output()).to.contain('4. What to change').and.match(advice)
      expect(io.output()).to.contain('1. Nothing was sent: ').and.not.contain('Came back')
      expect(io.output() + io.errors()).not.to.contain('canary')
      expect(keyManager.requests.every(({ path }) => path.endsWith('/token'))).to.equal(true)
    })
  }

  it('shows no query of tokenUrl', async () => {
    writeFileSync(config, oauth2(keyManager.url).replace('/token"', '/token?apikey=canary-key"'))
    keyManager.answer({ status: 401, body: { error: 'invalid_client' } })
    const io = captureIo('canary-token\n')
    await runIntrospect(['--config', config], {}, io, decide)
    expect(keyManager.requests[0]?.path).to.contain('canary-key')
    expect(io.output() + io.errors())
      .to.contain('/token?[redacted]')
      .and.not.contain('canary')
  })

  it('says what an inactive answer can mean, and what a 401 does', async () => {
    const inactive = captureIo('canary-token\n')
    await runIntrospect(['--config', config], {}, inactive, decide)
    expect(inactive.output()).to.contain('audience').and.contain('authentik')
    keyManager.answer({ status: 401, body: '' })
    const refused = captureIo('canary-token\n')
    await runIntrospect(['--config', config], {}, refused, decide)
    expect(refused.output()).to.contain('check username and password').and.contain('not allowed to introspect')
  })

  it('does not take the refresh token of a running sidecar', async () => {
    const refresh = `[keymanager.security.oauth2.refresh]
enabled = true
refreshUrl = "${keyManager.url}"
refreshToken = "canary-refresh"
clientId = "gateway"
clientSecret = "canary-secret"
`
    const direct = oauth2(keyManager.url).replace(/\[keymanager.security.oauth2.clientCredential\][\s\S]*/, '')
    writeFileSync(config, `${direct}[keymanager.security.oauth2.directToken]\nenabled = true\n${refresh}`)
    const io = captureIo('canary-token\n')
    expect(await runIntrospect(['--config', config], {}, io, decide)).to.equal(1)
    expect(io.errors()).to.contain('--use-refresh-token')
    expect(keyManager.requests).to.have.length(0)
  })

  it('does not blame scopes where the configured access token, not the refreshed one, is refused', async () => {
    const direct = oauth2(keyManager.url).replace(/\[keymanager.security.oauth2.clientCredential\][\s\S]*/, '')
    const access = '[keymanager.security.oauth2.directToken]\nenabled = true\naccessToken = "canary-access"\n'
    const refresh = `[keymanager.security.oauth2.refresh]
enabled = true
refreshUrl = "${keyManager.url.replace('/introspect', '/token')}"
refreshToken = "canary-refresh"
clientId = "gateway"
clientSecret = "canary-secret"
`
    keyManager.answer({ status: 401, body: '' })
    const explain = async (text: string): Promise<string> => {
      writeFileSync(config, direct + text)
      const io = captureIo('canary-token\n')
      expect(await runIntrospect(['--config', config], {}, io, decide)).to.equal(1)
      expect(io.output()).not.to.contain('canary')
      return io.output()
    }
    expect(await explain(access + refresh))
      .to.contain('configured access token')
      .and.contain('expired')
      .and.contain('--use-refresh-token')
      .and.not.contain('scopes')
    expect(await explain(access))
      .to.contain('Check its scopes')
      .and.not.contain('--use-refresh-token')
  })

  it('ends with 2 where there is no token', async () => {
    expect(await runIntrospect(['--config', config], {}, captureIo(' \n'), decide)).to.equal(2)
    expect(await runIntrospect(['@/nowhere', '--config', config], {}, captureIo(), decide)).to.equal(2)
  })

  it('lists what is wrong with the configuration, and ends with 1', async () => {
    const io = captureIo('t')
    writeFileSync(config, '[keyManager]\nexternal = "perhaps"\n')
    expect(await runIntrospect(['--config', config], {}, io, decide)).to.equal(1)
    expect(io.errors()).to.contain('external')
  })
})
