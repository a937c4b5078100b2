/** SIGTERM and SIGHUP that come before the service has started, to a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { basicConfig } from '../support/app.ts'
import { eventually, isRunning } from '../support/workers.ts'

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

/** Sends itself the signal as soon as somebody listens to it: long before the start is over. */
const SIGNAL_SOON = `
  const timer = setInterval(() => {
    if (process.listenerCount('SIGTERM') === 0) return
    clearInterval(timer)
    process.kill(process.pid, process.env.SIGNAL)
  }, 1)
`
/** A worker that never comes to its first line. */
const STUCK_WORKER = `if (process.argv[2] === 'worker') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)`

describe('a signal while it starts', function () {
  this.timeout(30_000)

  let dir: string
  let child: ChildProcess | undefined
  let output = ''
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'micro-gw-signals-'))
    output = ''
  })
  afterEach(() => {
    child?.kill('SIGKILL')
    rmSync(dir, { recursive: true, force: true })
  })

  const socket = () => join(dir, 'authz.sock')
  const serve = (preload: string, workers: number, signal = ''): Promise<number> => {
    const hook = join(dir, 'preload.mjs')
    const file = join(dir, 'micro-gw.conf')
    writeFileSync(hook, preload)
    const admin = '[admin]\nlisten = "127.0.0.1:0"\nlocalListen = "127.0.0.1:0"\n'
    const listeners = `[extAuthz]\nlisten = "unix:${socket()}"\nworkers = ${workers}\ndrainDelay = "0s"\n${admin}`
    writeFileSync(file, basicConfig('http://127.0.0.1:1/introspect', listeners))
    const env = { NODE_OPTIONS: `--import=${hook}`, SIGNAL: signal }
    const process_ = spawn(process.execPath, [CLI, '--config', file], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    child = process_
    const take = (text: string): void => {
      output += text
    }
    process_.stdout.setEncoding('utf8').on('data', take)
    process_.stderr.setEncoding('utf8').on('data', take)
    return new Promise((resolve) => process_.once('close', (code, by) => resolve(by === null ? (code ?? -1) : -1)))
  }

  for (const signal of ['SIGTERM', 'SIGINT'])
    it(`${signal} ends it with 0, and nothing is left listening`, async () => {
      expect(await serve(SIGNAL_SOON, 1, signal)).to.equal(0)
      expect(existsSync(socket())).to.equal(false)
    })

  it('SIGHUP does not end it', async () => {
    const exited = serve(SIGNAL_SOON, 1, 'SIGHUP')
    await eventually('started', () => output.includes('"event":"started"'), 10_000)
    await eventually('reloaded', () => output.includes('"event":"config_reloaded"'), 10_000)
    child?.kill('SIGTERM')
    expect(await exited).to.equal(0)
  })

  it('SIGTERM ends it with 0 though no worker starts; SIGHUP before it does nothing', async () => {
    const exited = serve(STUCK_WORKER, 2)
    await eventually('at its start', () => output.includes('config_effective') && existsSync(socket()), 10_000)
    child?.kill('SIGHUP')
    const signalledAt = performance.now()
    child?.kill('SIGTERM')
    expect(await exited).to.equal(0)
    expect(performance.now() - signalledAt).to.be.below(3_000)
    expect(output).not.to.contain('"event":"started"')
    expect(isRunning(child?.pid ?? 0)).to.equal(false)
  })
})
