import { expect } from 'chai'
import { describe, it } from 'mocha'
import { runCli } from '../../../src/cli.ts'
import { captureIo } from '../../support/io.ts'

const COMMANDS = ['serve', 'check-config', 'introspect', 'check', 'healthcheck', 'encrypt', 'version']

describe('the command line', () => {
  for (const flag of ['--help', '-h', 'help']) {
    it(`lists every command on ${flag}`, async () => {
      const io = captureIo()
      expect(await runCli([flag], {}, io)).to.equal(0)
      for (const command of COMMANDS) expect(io.output()).to.contain(command)
    })
  }

  for (const command of COMMANDS) {
    it(`has help for ${command}`, async () => {
      const io = captureIo()
      expect(await runCli([command, '--help'], {}, io)).to.equal(0)
      expect(io.output())
        .to.match(/^Usage: micro-gw-authz /)
        .and.match(/^Exit status: /m)
    })

    it(`ends ${command} with 2 on an unknown flag`, async () => {
      const io = captureIo()
      expect(await runCli([command, '--no-such-flag'], {}, io)).to.equal(2)
      expect(io.errors()).to.contain('Usage')
    })
  }

  it('ends with 2 on an unknown command, which it does not repeat: it may be a token', async () => {
    const io = captureIo()
    expect(await runCli(['canary'], {}, io)).to.equal(2)
    expect(io.errors()).to.contain('unknown command').and.not.contain('canary')
  })

  it('serves where no command is named', async () => {
    const io = captureIo()
    expect(await runCli(['--no-such-flag'], {}, io)).to.equal(2)
    expect(io.errors()).to.contain('micro-gw-authz serve: unknown flag --no-such-flag')
  })

  it('answers --version', async () => {
    const io = captureIo()
    expect(await runCli(['--version'], {}, io)).to.equal(0)
    expect(io.output()).to.match(/^micro-gw-authz \d/)
  })
})
