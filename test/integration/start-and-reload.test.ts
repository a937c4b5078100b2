import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { runServe } from '../../src/commands/serve.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { makeCertificates } from '../support/certificates.ts'

const NO_SCHEME = '[keymanager.security.none]\nenabled = true\n'
const KEY_MANAGER = '[keyManager]\nexternal = true\nserverUrl = "http://127.0.0.1:1"\nstartupProbe = false\n'
const ADMIN = '[admin]\nlisten = "127.0.0.1:0"\nlocalListen = ""\n'

/** What a command says on standard error. */
function listen() {
  const said: string[] = []
  const io = { stdin: new PassThrough(), out() {}, err: (text: string) => void said.push(text) }
  return { io, said: () => said.join('') }
}

describe('what an operator is told when a start or reload fails', () => {
  let dir: string
  let running: TestApp | undefined
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'micro-gw-start-'))
  })
  afterEach(async () => {
    await running?.close()
    running = undefined
    rmSync(dir, { recursive: true, force: true })
  })

  it('a socket path that is taken by a file: which path, why, and what to do', async () => {
    const path = join(dir, 'authz.sock')
    writeFileSync(path, 'not a socket')
    const file = join(dir, 'micro-gw.conf')
    writeFileSync(file, `[extAuthz]\nlisten = "unix:${path}"\n${ADMIN}${KEY_MANAGER}${NO_SCHEME}`)
    const { io, said } = listen()
    expect(await runServe(['--config', file], {}, io)).to.equal(1)
    expect(said()).to.contain(`cannot listen on unix:${path}: it exists and is not a socket; remove it`)
  })

  it('a certificate and a key that do not belong together: the key of the table, at start', async () => {
    const one = makeCertificates()
    const other = makeCertificates()
    const file = join(dir, 'micro-gw.conf')
    writeFileSync(join(dir, 'cert.pem'), one.server.cert)
    writeFileSync(join(dir, 'key.pem'), other.server.key)
    writeFileSync(file, `${tls(dir)}${ADMIN}${KEY_MANAGER}${NO_SCHEME}`)
    const { io, said } = listen()
    expect(await runServe(['--config', file], {}, io)).to.equal(1)
    expect(said()).to.contain('extAuthz.tls').and.contain('not usable together')
    one.remove()
    other.remove()
  })

  it('the same on reload: the old pair stays, and the log names the key', async () => {
    const one = makeCertificates()
    const other = makeCertificates()
    writeFileSync(join(dir, 'cert.pem'), one.server.cert)
    writeFileSync(join(dir, 'key.pem'), one.server.key)
    running = await startTestApp(`${tls(dir)}${KEY_MANAGER}${NO_SCHEME}`)
    writeFileSync(join(dir, 'key.pem'), other.server.key)
    expect(await running.app.reload()).to.equal('failure')
    const line = running.logs.find((text) => text.includes('config_reload_failed')) ?? ''
    expect(line).to.contain('"key":"extAuthz.tls"').and.contain('not usable together')
    writeFileSync(join(dir, 'cert.pem'), other.server.cert)
    expect(await running.app.reload()).to.equal('success')
    one.remove()
    other.remove()
  })
})

const tls = (dir: string): string =>
  `[extAuthz]\nlisten = "127.0.0.1:0"\n[extAuthz.tls]\ncertFile = "${join(dir, 'cert.pem')}"\nkeyFile = "${join(dir, 'key.pem')}"\n`
