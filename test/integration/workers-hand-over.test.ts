/** Connections on their way to a worker that hangs or dies: the primary holds them until the worker has them. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readlinkSync } from 'node:fs'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { basicConfig } from '../support/app.ts'
import type { CheckClient } from '../support/check-client.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'
import { inSeconds } from '../support/pair.ts'
import { askWith, eventually, startWorkers, type Workers } from '../support/workers.ts'

describe('connections handed to a worker', function () {
  this.timeout(60_000)

  let keyManager: ScriptedKeyManager
  let sidecar: Workers
  let openBefore: number

  beforeEach(async () => {
    keyManager = await startKeyManager()
    keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
    sidecar = await startWorkers(basicConfig(keyManager.url))
    openBefore = socketsOf(sidecar)
  })
  afterEach(async () => {
    await sidecar.close()
    await keyManager.close()
  })

  /** A Check each, on a connection of its own. */
  const ask = (clients: readonly CheckClient[]) => Promise.all(clients.map((client) => askWith(client, 'good')))
  const eight = (): readonly CheckClient[] => Array.from({ length: 8 }, () => sidecar.connect())
  const connections = async () => (await sidecar.status()).workers.map((worker) => worker.connections)
  const first = async (): Promise<number> => (await sidecar.status()).workers[0]?.pid ?? 0

  it('are its own once it has them: the primary keeps none', async () => {
    const clients = eight()
    await ask(clients)
    await eventually('closed here', () => socketsOf(sidecar) === openBefore)
    expect((await ask(clients)).filter(({ allowed }) => !allowed)).to.deep.equal([])
    expect(await connections()).to.deep.equal([4, 4])
    for (const client of clients) client.close()
    await eventually('closed there', async () => (await connections()).every((count) => count === 0))
  })

  for (const end of ['is killed', 'hangs until it is replaced'])
    it(`that it has not received go to another when it ${end}`, async () => {
      const victim = await first()
      process.kill(victim, 'SIGSTOP')
      const clients = eight()
      const answers = ask(clients)
      await eventually('accepted', async () => (await connections()).reduce((sum, count) => sum + count) === 8)
      if (end === 'is killed') process.kill(victim, 'SIGKILL')
      expect((await answers).filter(({ allowed }) => !allowed)).to.deep.equal([])
      await eventually('replaced', () => sidecar.events('worker_started').length === 3)
      expect((await connections()).reduce((sum, count) => sum + count)).to.equal(8)
      await eventually('closed here', () => socketsOf(sidecar) === openBefore)
      for (const client of clients) client.close()
      await eventually('closed there', async () => (await connections()).every((count) => count === 0))
    })

  it('that come while all of them are late are served as soon as these go on', async () => {
    const pids = (await sidecar.status()).workers.map(({ pid }) => pid)
    for (const pid of pids) process.kill(pid, 'SIGSTOP')
    // A second each, in vain: by then each has missed two heartbeats, and none five.
    for (const _ of [1, 2, 3])
      expect((await sidecar.status()).workers.map(({ answers }) => answers)).to.deep.equal([false, false])
    const clients = eight()
    const answers = ask(clients)
    await eventually('accepted', () => socketsOf(sidecar) >= openBefore + 8)
    for (const pid of pids) process.kill(pid, 'SIGCONT')
    expect((await answers).filter(({ allowed }) => !allowed)).to.deep.equal([])
    expect(await connections()).to.deep.equal([4, 4])
    expect(sidecar.events('worker_stuck')).to.deep.equal([])
    await eventually('closed here', () => socketsOf(sidecar) === openBefore)
  })

  it('that do not reach it, because it has no descriptor left, are closed', async () => {
    execFileSync('prlimit', ['--pid', String(await first()), '--nofile=3:'])
    const answers = [sidecar.connect(), sidecar.connect()].map((client) =>
      askWith(client, 'good').then(
        () => 'served',
        () => 'closed',
      ),
    )
    expect((await Promise.all(answers)).toSorted()).to.deep.equal(['closed', 'served'])
    await eventually('counted', async () => (await connections())[0] === 0)
    await eventually('closed here', () => socketsOf(sidecar) === openBefore)
  })
})

/** Open sockets of the primary. */
function socketsOf({ pid }: Workers): number {
  return readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('socket:')
    } catch {
      return false
    }
  }).length
}
