/** A reload to another grant, and a worker that still speaks of the one before. */
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { oauth2Config, startAuthority } from '../support/authority.ts'
import { askWith, eventually, startWorkers } from '../support/workers.ts'

describe('a worker whose own token is refused while the others have another configuration', function () {
  this.timeout(60_000)

  it('is given a new one of the grant it was refused', async () => {
    const [old, next] = [await startAuthority(), await startAuthority()]
    const sidecar = await startWorkers(oauth2Config(old, 'clientCredential'))
    try {
      const [slow, quick] = [sidecar.connect(), sidecar.connect()]
      for (const client of [slow, quick]) expect((await askWith(client, 'good')).allowed).to.equal(true)
      const held = Promise.withResolvers<void>()
      const introspected = old.introspections.length
      old.onIntrospect = async () => {
        old.onIntrospect = undefined
        await held.promise
        old.live.clear()
        return { status: 401, headers: { 'www-authenticate': 'Bearer error="invalid_token"' }, body: '' }
      }
      const answer = askWith(slow, 'good-refused')
      await eventually('on its way', () => old.introspections.length > introspected)
      const [stopped] = (await sidecar.status()).workers
      // It finds the refusal before the configuration when it goes on.
      process.kill(stopped?.pid ?? 0, 'SIGSTOP')
      held.resolve()
      sidecar.rewrite(oauth2Config(next, 'clientCredential'))
      sidecar.signal('SIGHUP')
      let round = 0
      await eventually('the other has swapped', async () => {
        round += 1
        return (await askWith(quick, `good-${round}`)).allowed && next.introspections.length > 0
      })
      expect(sidecar.events('config_reloaded')).to.deep.equal([])
      process.kill(stopped?.pid ?? 0, 'SIGCONT')

      expect(await answer).to.include({ allowed: true, reason: 'allowed' })
      expect(old.introspections.at(-1)?.headers['authorization']).to.equal('Bearer own-2')
      await eventually('reloaded', () => sidecar.events('config_reloaded').length === 1)
      expect(sidecar.events('worker_ended')).to.deep.equal([])
      expect([old, next].map(({ tokenRequests }) => tokenRequests.length)).to.deep.equal([2, 1])
    } finally {
      await sidecar.close()
      await old.close()
      await next.close()
    }
  })
})
