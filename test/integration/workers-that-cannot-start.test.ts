/** A worker that ends at once, again and again: real processes, ended by a module that Node loads before ours. */
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
