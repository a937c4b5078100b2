import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import type { CheckView } from '../../../src/authz/ports.ts'
import { runCheck } from '../../../src/commands/check.ts'
import { runHealthcheck } from '../../../src/commands/healthcheck.ts'
import { ALLOWED, denied, fakePipeline, serverParts } from '../../support/fake-pipeline.ts'
import { captureIo } from '../../support/io.ts'
import { STARTED } from '../../support/status.ts'

describe('commands that talk to a running sidecar', () => {
  let parts: ReturnType<typeof serverParts>
  let address: string
  let directory: string
  let seen: CheckView[]
  let allow: boolean

  beforeEach(async () => {
    seen = []
    allow = true
    directory = mkdtempSync(join(tmpdir(), 'check-'))
    parts = serverParts(() =>
      fakePipeline((check) => {
        seen.push(check)
        return allow ? ALLOWED : denied('inactive_token')
      }),
    )
    const listen = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const
    address = await parts.server.bind(listen, { socketMode: 0o660, tls: undefined })
  })

  afterEach(async () => {
    await parts.server.stop()
    rmSync(directory, { recursive: true })
  })

  describe('check', () => {
    it('prints an allow and ends with 0', async () => {
      const io = captureIo()
      const flags = ['--method', 'POST', '--path', '/a?b', '--host', 'h', '--header', 'authorization: Bearer t']
      expect(await runCheck(['--address', address, ...flags, '--context', 'scopes=a b'], {}, io)).to.equal(0)
      expect(seen[0]).to.include({ method: 'POST', path: '/a?b', host: 'h', credentials: 'Bearer t' })
      expect(seen[0]?.contextExtensions().get('scopes')).to.equal('a b')
      expect(io.output()).to.match(/^decision: ALLOW \(status\.code 0, /)
      expect(io.output()).to.contain('x-auth-subject: alice').and.contain('"decision_id":')
    })

    it('prints a deny and ends with 1', async () => {
      allow = false
      const io = captureIo()
      expect(await runCheck(['--address', address], {}, io)).to.equal(1)
      expect(io.output()).to.contain('decision: DENY (status.code 16').and.contain('status: Unauthorized')
    })

    it('reads headers from a file, and joins equal names as Envoy does', async () => {
      const file = join(directory, 'headers')
      writeFileSync(file, 'Authorization: Bearer a\nauthorization: Bearer b\n')
      await runCheck(['--address', address, '--header', `@${file}`], {}, captureIo())
      expect(seen[0]?.credentials).to.equal('Bearer a,Bearer b')
    })

    for (const flags of [
      ['--header', 'canary'],
      ['--header', '@/nowhere'],
      ['--context', 'canary'],
      ['--timeout', '0'],
      ['canary'],
    ]) {
      it(`ends with 2 on ${flags.join(' ')}, which is not repeated`, async () => {
        const io = captureIo()
        expect(await runCheck(['--address', address, ...flags], {}, io)).to.equal(2)
        expect(io.errors()).not.to.contain('canary')
      })
    }

    it('ends with 3 where nobody answers', async () => {
      await parts.server.stop()
      expect(await runCheck(['--address', address, '--timeout', '1000'], {}, captureIo())).to.equal(3)
    })
  })

  describe('healthcheck', () => {
    it('ends with 0 while serving and with 1 when not', async () => {
      expect(await runHealthcheck(['--address', address], {}, captureIo())).to.equal(0)
      parts.health.setServing(false)
      const io = captureIo()
      expect(await runHealthcheck(['--address', address], {}, io)).to.equal(1)
      expect(io.errors()).to.contain('NOT_SERVING')
    })

    it('asks /readyz of the admin listener', async () => {
      const { startAdmin } = await import('../../../src/server/admin.ts')
      let ready = true
      const admin = await startAdmin({
        listen: { host: '127.0.0.1', port: 0 },
        localListen: undefined,
        metrics: undefined,
        ready: () => ready,
        config: () => ({}),
        status: () => STARTED,
        decisions: parts.decisions,
      })
      expect(await runHealthcheck(['--admin', admin.address], {}, captureIo())).to.equal(0)
      ready = false
      expect(await runHealthcheck(['--admin', admin.address], {}, captureIo())).to.equal(1)
      await admin.close()
      expect(await runHealthcheck(['--admin', admin.address], {}, captureIo())).to.equal(1)
    })

    it('asks where the configuration says', async () => {
      const file = join(directory, 'micro-gw.conf')
      writeFileSync(
        file,
        `[extAuthz]\nlisten = "${address}"\n[keyManager]\nexternal = true\nintrospectUrl = "https://127.0.0.1:1/introspect"\n[keymanager.security.basic]\nenabled = true\nusername = "u"\npassword = "p"\n`,
      )
      const io = captureIo()
      expect(await runHealthcheck(['--config', file], {}, io), io.errors()).to.equal(0)
    })

    it('asks although something else in the file is broken: what runs keeps the old configuration', async () => {
      const file = join(directory, 'micro-gw.conf')
      const broken = '[keyManager]\nexternal = true\ntimeout = "soon"\n[keyManager.tls]\ncaFile = "/nonexistent"\n'
      writeFileSync(file, `[extAuthz]\nlisten = "${address}"\n${broken}`)
      const io = captureIo()
      expect(await runHealthcheck(['--config', file], {}, io), io.errors()).to.equal(0)
      expect(io.errors()).to.contain(':5: error: keyManager.timeout: ').and.contain('error: keyManager.tls.caFile: ')
      parts.health.setServing(false)
      expect(await runHealthcheck(['--config', file], {}, captureIo())).to.equal(1)
    })

    const elsewhere = { extAuthz_listen: '127.0.0.1:1' }
    for (const [what, text, variables] of [
      ['the address', '[extAuthz]\nlisten = "nowhere"\n', {}],
      ["the address's name", '[extAuthz]\nlisen = "127.0.0.1:9001"\n', elsewhere],
      ['a bracket', '[extAuthz\n', elsewhere],
    ] as const) {
      it(`asks the admin listener where ${what} was broken after the start`, async () => {
        const file = join(directory, 'micro-gw.conf')
        writeFileSync(file, text)
        const admin = createServer((_, response) => response.end()).listen(0, '127.0.0.1')
        await once(admin, 'listening')
        const { port } = admin.address() as AddressInfo
        const asked = async (status: number): Promise<ReturnType<typeof captureIo>> => {
          const io = captureIo()
          const env = { admin_listen: `127.0.0.1:${port}`, ...variables }
          expect(await runHealthcheck(['--config', file], env, io), io.errors()).to.equal(status)
          expect(io.errors()).to.contain(': error: ')
          return io
        }
        expect((await asked(0)).output()).to.equal(`serving: 127.0.0.1:${port}\n`)
        admin.close()
        await once(admin, 'close')
        expect((await asked(1)).errors())
          .to.contain(`not serving: 127.0.0.1:${port}: no answer`)
          .and.contain('--admin HOST:PORT')
      })
    }

    it('asks nobody where a flag of its own is wrong, whatever became of the file', async () => {
      const file = join(directory, 'micro-gw.conf')
      const set = ['--set', `extAuthz.listen=${address}`]
      for (const text of ['[extAuthz\n', '[extAuthz]\nlisen = "x"\n']) {
        writeFileSync(file, text)
        expect(await runHealthcheck(['--config', file, ...set], {}, captureIo())).to.equal(0)
        for (const wrong of ['admin.listen=zzz', 'Admin.Listen=zzz']) {
          const io = captureIo()
          expect(await runHealthcheck(['--config', file, ...set, '--set', wrong], {}, io), text + wrong).to.equal(1)
          expect(io.errors()).to.contain('does not say whom to ask')
        }
      }
    })

    it('takes one target', async () => {
      expect(await runHealthcheck(['--address', address, '--admin', 'x:1'], {}, captureIo())).to.equal(2)
    })
  })
})
