import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { runCheckConfig } from '../../../src/commands/check-config.ts'
import { makeCertificates } from '../../support/certificates.ts'
import { GOOD, inDirectory } from './writing.ts'

const FIXTURES = new URL('../../fixtures/', import.meta.url)

async function run(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ status: number; out: string; err: string }> {
  let out = ''
  let err = ''
  const io = {
    stdin: Readable.from([]),
    out: (text: string) => {
      out += text
    },
    err: (text: string) => {
      err += text
    },
  }
  return { status: await runCheckConfig(args, env, io), out, err }
}

describe('check-config', () => {
  it('prints every problem with file and line and exits 1', async () => {
    const file = new URL('config/ten-mistakes.conf', FIXTURES).pathname
    const { status, out } = await run(['--config', file])
    expect(status).to.equal(1)
    expect(out.match(/: error: /g)).to.have.length(11)
    expect(out).to.include(`${file}:2: error: keyManager.serverURL: `).and.include('NOT usable')
  })

  it('exits 0 with warnings only', async () => {
    const file = new URL('config/basic-admin-admin.conf', FIXTURES).pathname
    const { status, out } = await run([`--config=${file}`])
    expect(status).to.equal(0)
    expect(out).to.include('0 errors, 1 warnings')
  })

  it("prints effective value, unit and WSO2's reading with --wso2", async () => {
    const file = new URL('wso2/micro-gw-3.1.conf', FIXTURES).pathname
    const { status, out } = await run(['--wso2', '--config', file], { keyManager_external: 'true' })
    expect(status).to.equal(0)
    expect(out).to.match(/keyManager\.timestampSkew +5m +duration \(bare: s\) +milliseconds in its code \(5s\)/)
    expect(out).to.match(/keyManager\.security\.basic\.password +\[redacted\]/)
  })

  it('never prints the password of a refused URL', async () => {
    const file = new URL('config/server-url-userinfo.conf', FIXTURES).pathname
    expect((await run(['--wso2', '--config', file])).out).to.not.include('canary')
  })

  it('exits 2 on wrong usage and explains itself', async () => {
    for (const args of [['--nonsense'], ['--config'], ['file.conf']]) expect((await run(args)).status).to.equal(2)
    expect((await run(['--help'])).out).to.include('Usage:')
  })

  it('says what is wrong with a missing file', async () => {
    const missing = inDirectory((directory) => join(directory, 'missing.conf'))
    expect((await run(['--config', missing])).out).to.include('does not exist')
    const empty = inDirectory((directory) => {
      const file = join(directory, 'a.conf')
      writeFileSync(file, '')
      return file
    })
    expect((await run(['--config', empty])).status).to.equal(1)
  })

  const garbage = 'garbage.pem'
  const unusable: readonly (readonly [string, string, string])[] = [
    ['extAuthz.tls', 'certFile = "server.pem"\nkeyFile = "client.key"', '2: error: extAuthz.tls: '],
    ['extAuthz.tls', `certFile = "${garbage}"\nkeyFile = "server.key"`, '3: error: extAuthz.tls.certFile: '],
    [
      'extAuthz.tls',
      `certFile = "server.pem"\nkeyFile = "server.key"\nclientCaFile = "${garbage}"`,
      '5: error: extAuthz.tls.clientCaFile: ',
    ],
    ['keyManager.tls', 'certFile = "client.pem"\nkeyFile = "server.key"', '2: error: keyManager.tls: '],
    ['keyManager.tls', `caFile = "${garbage}"`, '3: error: keyManager.tls.caFile: '],
  ]
  for (const [table, keys, said] of unusable) {
    it(`exits 1 with key and line where TLS could not use the files of [${table}]: ${keys.replaceAll('\n', ', ')}`, async () => {
      const certificates = makeCertificates()
      const { directory } = certificates
      const file = join(directory, 'micro-gw.conf')
      writeFileSync(join(directory, garbage), '-----BEGIN CERTIFICATE-----\ngarbage\n-----END CERTIFICATE-----\n')
      writeFileSync(file, `\n[${table}]\n${keys.replace(/= "/g, `= "${directory}/`)}\n${GOOD}`)
      const { status, out } = await run(['--config', file])
      expect(status).to.equal(1)
      expect(out.match(/: error: /g)).to.have.length(1)
      expect(out).to.include(`${file}:${said}`).and.include('NOT usable')
      certificates.remove()
    })
  }
})
