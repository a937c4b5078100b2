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
