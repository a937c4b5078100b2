/** What a worker inherits of the process that starts it. */
import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { type OwnProcess, startOwnProcess } from '../faults/own-process.ts'
import { type Authority, oauth2Config, startAuthority } from '../support/authority.ts'
import { askWith, startWorkers, type Workers } from '../support/workers.ts'

const TWO = { 'extAuthz.workers': '2' }

describe('a worker inherits', function () {
  this.timeout(60_000)

  let authority: Authority
  const started: (Workers | OwnProcess)[] = []
  beforeEach(async () => {
    authority = await startAuthority()
  })
  afterEach(async () => {
    for (const sidecar of started.splice(0)) await sidecar.close()
    await authority.close()
  })

  it('no secret from the environment by which the own token is obtained', async () => {
    const secret = 's%+cret:ü'
    const sidecar = await startWorkers(
      oauth2Config(authority, 'clientCredential').replace(`"${secret}"`, '"@env:{OWN_CLIENT_SECRET}"'),
      { env: { OWN_CLIENT_SECRET: secret, MICRO_GW_AUTHZ_CIPHER_SECRET: 'cipher', MALLOC_ARENA_MAX: '1' } },
    )
    started.push(sidecar)
    expect((await askWith(sidecar.connect(), 'good')).allowed).to.equal(true)
    expect(environmentOf(sidecar.pid)).to.include(`OWN_CLIENT_SECRET=${secret}`)
    const workers = (await sidecar.status()).workers.map(({ pid }) => environmentOf(pid))
    expect(workers).to.have.length(2)
    for (const variables of workers) {
      expect(variables).to.include('MALLOC_ARENA_MAX=1')
      expect(variables.join()).not.to.match(/SECRET|cret/)
    }
  })

  for (const [by, env, flags] of [
    ['a flag', {}, ['--inspect=127.0.0.1:0']],
    ['NODE_OPTIONS', { NODE_OPTIONS: '--inspect=127.0.0.1:0' }, []],
  ] as const)
    it(`no debugger that the primary has by ${by}`, async () => {
      const sidecar = await startOwnProcess(oauth2Config(authority, 'clientCredential'), TWO, env, flags)
      started.push(sidecar)
      expect(sidecar.output().match(/worker_started/g)).to.have.length(2)
      expect(sidecar.output().match(/Debugger listening/g)).to.have.length(1)
    })
})

function environmentOf(pid: number): readonly string[] {
  return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
}
