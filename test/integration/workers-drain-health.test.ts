/** What the health service of several workers says while they drain. */
import { ChannelCredentials, Client } from '@grpc/grpc-js'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { healthService } from '../../src/envoy/definition.ts'
import { basicConfig } from '../support/app.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'
import { eventually, startWorkers } from '../support/workers.ts'

describe('a worker that is started during a drain', function () {
  this.timeout(60_000)

  let keyManager: ScriptedKeyManager
  beforeEach(async () => {
    keyManager = await startKeyManager()
  })
  afterEach(() => keyManager.close())

  for (const [drainHealth, says] of [
    ['true', 'NOT_SERVING'],
    ['false', 'SERVING'],
  ] as const)
    it(`says ${says} as the others do (drainHealth: ${drainHealth})`, async () => {
      const sidecar = await startWorkers(basicConfig(keyManager.url), {
        flags: { 'extAuthz.drainDelay': '60s', 'extAuthz.drainHealth': drainHealth },
      })
      const health = () => Promise.all([1, 2, 3, 4].map(() => healthOf(sidecar.address)))
      try {
        expect(await health()).to.deep.equal(Array(4).fill('SERVING'))
        const [victim] = (await sidecar.status()).workers
        sidecar.signal('SIGTERM')
        await eventually('draining', () => sidecar.events('drain_started').length === 1)
        process.kill(victim?.pid ?? 0, 'SIGKILL')
        await eventually('replaced', () => sidecar.events('worker_started').length === 3)
        expect(await health()).to.deep.equal(Array(4).fill(says))
      } finally {
        await sidecar.close()
      }
    })
})

/** Asked on a connection of its own. */
function healthOf(address: string): Promise<unknown> {
  const { Check: method } = healthService
  if (method === undefined) throw new Error('no health service in the definition')
  const client = new Client(address, ChannelCredentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 })
  return new Promise((resolve, reject) => {
    const { path, requestSerialize, responseDeserialize } = method
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, {}, (error, reply) => {
      client.close()
      if (error === null) resolve((reply as { status?: string }).status)
      else reject(error)
    })
  })
}
