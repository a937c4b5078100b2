/** A worker that ends at once, again and again: real processes, ended by a module that Node loads before ours. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { serveToItsEnd } from '../faults/own-process.ts'
import { basicConfig } from '../support/app.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'
import { inSeconds } from '../support/pair.ts'
import { askWith, eventually, startWorkers } from '../support/workers.ts'

describe('a worker that cannot start', function () {
  this.timeout(60_000)

  let dir: string
  let keyManager: ScriptedKeyManager
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'micro-gw-workers-'))
    keyManager = await startKeyManager()
    keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
  })
  afterEach(async () => {
    rmSync(dir, { recursive: true, force: true })
    await keyManager.close()
  })

  /** Environment in which these workers exit with 7 before their first line. */
  const exiting = (which: string): { NODE_OPTIONS: string } => {
    const file = join(dir, 'preload.mjs')
    writeFileSync(file, `if (process.argv[2] === 'worker' && ${which}) process.exit(7)`)
    return { NODE_OPTIONS: `--import=${file}` }
  }

  /** Environment in which the primary's third and fourth `fork`, the first two to replace a worker, end like this. */
  const forking = (fail: string): { NODE_OPTIONS: string } => {
    const file = join(dir, 'preload.mjs')
    writeFileSync(
      file,
      `import childProcess from 'node:child_process'
      import { syncBuiltinESMExports } from 'node:module'
      const { ChildProcess, fork } = childProcess
      const unstarted = () => {
        const child = new ChildProcess()
        process.nextTick(() => child.emit('error', Object.assign(new Error('spawn'), { code: 'EMFILE' })))
        return child
      }
      let forks = 0
      childProcess.fork = (...given) => {
        forks += 1
        if (forks === 3 || forks === 4) ${fail}
        return fork(...given)
      }
      syncBuiltinESMExports()`,
    )
    return { NODE_OPTIONS: `--import=${file}` }
  }

  it('is tried again after growing pauses and logged with its exit status, while the others serve', async () => {
    const sidecar = await startWorkers(basicConfig(keyManager.url), {
      env: exiting("process.argv[3] === '2'"),
      flags: { 'extAuthz.drainDelay': '0s' },
    })
    try {
      const clients = [1, 2, 3].map(() => sidecar.connect())
      const answers = await Promise.all(clients.map((client) => askWith(client, 'good')))
      expect(answers.map(({ allowed }) => allowed)).to.deep.equal([true, true, true])
      await eventually('tried four times', () => sidecar.events('worker_ended').length >= 4)
      const [first, ...more] = sidecar.events('worker_ended').slice(0, 4)
      expect(first).to.include({ level: 'error', worker: 2, reason: 'crashed', code: 7, nextStartInMs: 0 })
      expect(more.map(({ nextStartInMs }) => nextStartInMs)).to.deep.equal([250, 500, 1_000])
      expect(sidecar.events('worker_started').map(({ worker }) => worker)).to.deep.equal([1])
      expect(await sidecar.metric('microgw_workers')).to.equal(1)
      expect((await fetch(`http://${sidecar.admin}/readyz`)).status).to.equal(200)
      sidecar.signal('SIGTERM')
      expect(await sidecar.exited).to.equal(0)
    } finally {
      await sidecar.close()
    }
  })

  for (const [failure, fail] of [
    ['throws', "throw Object.assign(new Error('spawn'), { code: 'EMFILE' })"],
    ['leaves it without streams', 'return unstarted()'],
  ])
    it(`because fork ${failure} is tried again, while the others serve`, async () => {
      const sidecar = await startWorkers(basicConfig(keyManager.url), { env: forking(fail ?? '') })
      try {
        const [victim, other] = (await sidecar.status()).workers
        process.kill(victim?.pid ?? 0, 'SIGKILL')
        await eventually('replaced', () => sidecar.events('worker_started').length === 3)
        const ends = sidecar.events('worker_ended')
        expect(
          ends.map(({ worker, code, signal, nextStartInMs }) => [worker, signal ?? code, nextStartInMs]),
        ).to.deep.equal([
          [1, 'SIGKILL', 0],
          [1, 'EMFILE', 250],
          [1, 'EMFILE', 500],
        ])
        expect((await sidecar.status()).workers[1]?.pid).to.equal(other?.pid)
        const answers = await Promise.all([1, 2].map(() => askWith(sidecar.connect(), 'good')))
        expect(new Set(answers.map((answer) => answer.process)).size).to.equal(2)
        expect(sidecar.output()).not.to.include('uncaught_exception')
      } finally {
        await sidecar.close()
      }
    })

  it('because no descriptor is left is tried again until there is, while the others serve', async () => {
    const sidecar = await startWorkers(basicConfig(keyManager.url))
    try {
      const client = sidecar.connect()
      const [victim] = (await sidecar.status()).workers
      const limit = (nofile: string) => execFileSync('prlimit', ['--pid', String(sidecar.pid), `--nofile=${nofile}:`])
      limit('3')
      process.kill(victim?.pid ?? 0, 'SIGKILL')
      await eventually('tried in vain', () => sidecar.events('worker_ended').length >= 3)
      expect(sidecar.events('worker_ended')[2]?.['code']).to.equal('EMFILE')
      expect(sidecar.events('worker_started')).to.have.length(2)
      limit('1024')
      expect((await askWith(client, 'good')).allowed).to.equal(true)
      await eventually('replaced', () => sidecar.events('worker_started').length === 3)
      expect(sidecar.isAlive()).to.equal(true)
    } finally {
      await sidecar.close()
    }
  })

  it('of which there is no other ends the start with 1, and how each ended is said', async () => {
    const { exit, output } = await serveToItsEnd(
      basicConfig(keyManager.url),
      { 'extAuthz.workers': '2' },
      exiting('true'),
    )
    expect(exit).to.equal(1)
    const ended = output.split('\n').filter((line) => line.includes('"event":"worker_ended"'))
    expect(ended.map((line) => JSON.parse(line).code)).to.deep.equal([7, 7, 7, 7])
    expect(output).to.contain('micro-gw-authz: a worker process could not start, none of them')
    expect(output).not.to.contain('"event":"started"')
  })
})
