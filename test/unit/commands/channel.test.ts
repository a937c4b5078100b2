import { expect } from 'chai'
import { after, before, describe, it } from 'mocha'
import { runCheck } from '../../../src/commands/check.ts'
import { runHealthcheck } from '../../../src/commands/healthcheck.ts'
import { type Certificates, makeCertificates } from '../../support/certificates.ts'
import { captureIo } from '../../support/io.ts'
import { type Pair, startPair } from '../../support/pair.ts'

describe('check and healthcheck over mutual TLS', () => {
  let files: Certificates
  let pair: Pair
  let address = ''
  let mutual: readonly string[] = []
  before(async () => {
    files = makeCertificates()
    pair = await startPair({
      toml: `[extAuthz.tls]
certFile = "${files.serverCertFile}"
keyFile = "${files.serverKeyFile}"
clientCaFile = "${files.caFile}"
`,
    })
    address = pair.running.app.addresses.extAuthz[0] ?? ''
    mutual = ['--ca-file', files.caFile, '--cert-file', files.clientCertFile, '--key-file', files.clientKeyFile]
  })
  after(async () => {
    await pair.close()
    files.remove()
  })

  it('ask and are answered with a client certificate', async () => {
    pair.keyManager.tokens.set('good', { active: true })
    const io = captureIo()
    const args = ['--address', address, ...mutual, '--header', 'authorization: Bearer good']
    expect(await runCheck(args, {}, io), io.errors()).to.equal(0)
    expect(await runHealthcheck(['--address', address, ...mutual], {}, io), io.errors()).to.equal(0)
  })

  it('get no answer without a client certificate, or in plaintext', async () => {
    for (const flags of [['--ca-file', files.caFile], []]) {
      const io = captureIo()
      expect(await runCheck(['--address', address, '--timeout', '1000', ...flags], {}, io)).to.equal(3)
      expect(await runHealthcheck(['--address', address, ...flags], {}, io)).to.equal(1)
    }
  })

  for (const [flags, words] of [
    [['--cert-file', '/x', '--key-file', '/x'], '--ca-file'],
    [['--ca-file', '/nowhere'], '--ca-file cannot be read'],
    [['--ca-file', '/nowhere', '--cert-file', '/x'], 'go together'],
  ] as const) {
    it(`say what is wrong with ${flags.join(' ')}`, async () => {
      const io = captureIo()
      expect(await runCheck([...flags], {}, io)).to.equal(2)
      expect(await runHealthcheck([...flags], {}, io)).to.equal(2)
      expect(io.errors()).to.include(words)
    })
  }
})
