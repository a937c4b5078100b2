import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { runVersion } from '../../../src/commands/version.ts'
import { captureIo } from '../../support/io.ts'

describe('version', () => {
  it('prints the version of the package and of Node', async () => {
    const manifest: { version: string } = JSON.parse(
      readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
    )
    const io = captureIo()
    expect(await runVersion([], {}, io)).to.equal(0)
    expect(io.output()).to.equal(`micro-gw-authz ${manifest.version} (node ${process.version})\n`)
  })

  it('takes no arguments', async () => {
    expect(await runVersion(['x'], {}, captureIo())).to.equal(2)
  })
})
