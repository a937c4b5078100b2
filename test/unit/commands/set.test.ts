import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { runCli } from '../../../src/cli.ts'
import { runIntrospect } from '../../../src/commands/introspect.ts'
import type { Config } from '../../../src/config/config.ts'
import { ALLOWED } from '../../support/fake-pipeline.ts'
import { captureIo } from '../../support/io.ts'
import { GOOD } from '../config/writing.ts'

describe('--set, where a command loads the configuration', () => {
  let directory: string
  let file: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'set-'))
    file = join(directory, 'micro-gw.conf')
    writeFileSync(file, `${GOOD}[log]\nlevel = "warn"\n[admin]\nlisten = "127.0.0.1:1"\n`)
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  const LOADING = ['check-config', 'introspect', 'healthcheck', 'serve']

  for (const command of LOADING) {
    it(`is in the help of ${command}`, async () => {
      const io = captureIo()
      await runCli([command, '--help'], {}, io)
      expect(io.output()).to.contain('--set KEY=VALUE')
    })

    it(`ends ${command} with 2 where a value has no key, and with 1 on an unknown key, the nearest named`, async () => {
      const wrong = captureIo('token')
      expect(await runCli([command, '--config', file, '--set', 'canary'], {}, wrong)).to.equal(2)
      expect(wrong.errors()).to.contain('--set takes KEY=VALUE').and.not.contain('canary')
      const unknown = captureIo('token')
      expect(await runCli([command, '--config', file, '--set', 'log.levle=canary'], {}, unknown)).to.equal(1)
      expect(unknown.output() + unknown.errors())
        .to.contain('error: log.levle: There is no such key')
        .and.contain('`log.level`')
        .and.not.contain('canary')
    })
  }

  it('wins over file and environment in check-config, several times', async () => {
    const io = captureIo()
    const sets = ['--set', 'caching.tokenCacheExpiryTime=1m', '--set=caching.tokenCacheCapacity=7']
    const env = { caching_tokenCacheExpiryTime: '2m' }
    expect(await runCli(['check-config', '--wso2', '--config', file, ...sets], env, io)).to.equal(0)
    expect(io.output())
      .to.match(/caching\.tokenCacheExpiryTime +1m /)
      .and.match(/caching\.tokenCacheCapacity +7 /)
  })

  it('says in check-config where a wrong value comes from', async () => {
    const io = captureIo()
    expect(await runCli(['check-config', '--config', file, '--set', 'keyManager.timeout=soon'], {}, io)).to.equal(1)
    expect(io.output()).to.contain('keyManager.timeout').and.contain('set by the command line')
  })

  it('tells healthcheck where to ask', async () => {
    const io = captureIo()
    const sets = ['--set', 'extAuthz.listen=127.0.0.1:2']
    expect(await runCli(['healthcheck', '--config', file, ...sets], {}, io)).to.equal(1)
    expect(io.errors()).to.contain('not serving: 127.0.0.1:2: ')
  })

  it('is what introspect decides by', async () => {
    let seen: Config | undefined
    const decide = async (config: Config): Promise<typeof ALLOWED> => {
      seen = config
      return ALLOWED
    }
    const io = captureIo('token')
    const exit = await runIntrospect(['--config', file, '--set', 'policy.requiredScopes=a,b'], {}, io, decide)
    expect(exit, io.errors()).to.equal(0)
    expect(seen?.policy.requiredScopes).to.deep.equal(['a', 'b'])
  })
})
