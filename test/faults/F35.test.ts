import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { basicConfig } from '../support/app.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'
import { inSeconds } from '../support/pair.ts'
import { askWith, eventually, startWorkers, type Told, type Workers } from '../support/workers.ts'
import { FIGURES } from './figures.ts'

const { failedOnOthers, backWithinMs, connections } = FIGURES.F35

const LOADED_AT = 'microgw_config_last_reload_success_timestamp_seconds'

describe('F35 a worker process is killed', function () {
  // Each test starts several processes, some more than once.
  this.timeout(60_000)

  let keyManager: ScriptedKeyManager
  let sidecar: Workers

  beforeEach(async () => {
    keyManager = await startKeyManager()
    keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
    sidecar = await startWorkers(basicConfig(keyManager.url))
  })

  afterEach(async () => {
    await sidecar.close()
    await keyManager.close()
  })

  it('is replaced; the others serve on without a failure, and no counter goes down', async () => {
    const clients = Array.from({ length: connections }, () => sidecar.connect())
    const first = await Promise.all(clients.map((client) => askWith(client, 'kept')))
    const victims = first[0]?.process ?? ''
    // Connections are dealt out in turn: the first one went to the first worker.
    const others = clients.filter((_, index) => first[index]?.process !== victims)
    expect(others).to.have.length(connections / 2)
    const before = await sidecar.metric('microgw_checks_total{decision="allow",reason="allowed"}')
    expect(before).to.equal(connections)
    const loadedAt = await sidecar.metric(LOADED_AT)

    let running = true
    const answers: (Told | 'failed')[] = []
    const load = Promise.all(
      others.map(async (client) => {
        while (running) {
          answers.push(await askWith(client, 'kept').catch(() => 'failed' as const))
          // A load, not a machine with no time left to start a process.
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
      }),
    )
    const starts = sidecar.events('worker_started').length
    const victim = (await sidecar.status()).workers.find(({ worker }) => worker === 1)
    const killedAt = performance.now()
    process.kill(victim?.pid ?? 0, 'SIGKILL')
    await eventually('replaced', () => sidecar.events('worker_started').length === starts + 1)
    const backMs = performance.now() - killedAt
    const served = answers.length
    await eventually('load goes on', () => answers.length > served + 50)
    running = false
    await load

    expect(answers.filter((answer) => answer === 'failed' || !answer.allowed)).to.have.length(failedOnOthers)
    expect(backMs).to.be.below(backWithinMs)
    const counted = await sidecar.metric('microgw_checks_total{decision="allow",reason="allowed"}')
    expect(counted).to.equal(before + answers.length)
    expect(await sidecar.metric('microgw_worker_restarts_total{reason="crashed"}')).to.equal(1)
    expect(await sidecar.metric('microgw_workers')).to.equal(2)
    expect(await sidecar.metric(LOADED_AT)).to.equal(loadedAt)
    const { workers, totals } = await sidecar.status()
    expect(totals.checks.allow).to.equal(counted)
    expect(workers.map(({ worker, restarts }) => [worker, restarts])).to.deep.equal([
      [1, 1],
      [2, 0],
    ])
    expect(sidecar.events('worker_ended')[0]).to.include({
      worker: 1,
      reason: 'crashed',
      signal: 'SIGKILL',
      nextStartInMs: 0,
    })
    // The callers that had lost their connection are served again, by the new one too.
    const again = await Promise.all(clients.map((client) => askWith(client, 'kept')))
    expect(again.every(({ allowed }) => allowed)).to.equal(true)
  })

  it('comes back at once the first time, later the more often it ends soon', async () => {
    for (let kill = 1; kill <= 3; kill += 1) {
      const victim = (await sidecar.status()).workers.find(({ worker }) => worker === 1)
      process.kill(victim?.pid ?? 0, 'SIGKILL')
      await eventually('replaced', () => sidecar.events('worker_started').length === 2 + kill)
    }
    expect(sidecar.events('worker_ended').map((line) => line['nextStartInMs'])).to.deep.equal([0, 250, 500])
  })

  it('the last one of all is replaced too: who connects meanwhile waits and is served', async () => {
    for (const { pid } of (await sidecar.status()).workers) process.kill(pid, 'SIGKILL')
    await eventually('seen', () => sidecar.events('worker_ended').length === 2)
    expect((await askWith(sidecar.connect(), 'kept')).allowed).to.equal(true)
  })
})
