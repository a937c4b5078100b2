import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { removeStaleSocket } from '../../../src/server/unix-socket.ts'

const LISTEN = `require('node:net').createServer().listen({ path: process.argv[1], backlog: 1 }, () => console.log('up'))`

describe('the file of a Unix socket', () => {
  let folder: string
  let path: string
  let owner: ChildProcess
  const open: Socket[] = []

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'micro-gw-socket-'))
    path = join(folder, 'authz.sock')
    owner = spawn(process.execPath, ['-e', LISTEN, path], { stdio: ['ignore', 'pipe', 'inherit'] })
    if (owner.stdout !== null) await once(owner.stdout, 'data')
  })

  afterEach(async () => {
    for (const socket of open.splice(0)) socket.destroy()
    owner.kill('SIGKILL')
    if (owner.exitCode === null && owner.signalCode === null) await once(owner, 'exit')
    rmSync(folder, { recursive: true })
  })

  /** The code of its error; undefined: connected. */
  function connection(): Promise<string | undefined> {
    const socket = connect(path)
    open.push(socket)
    return new Promise((resolve) => {
      socket.once('connect', () => resolve(undefined))
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
    })
  }

  it('in a folder that is not there is told by the name of the folder', async () => {
    const missing = join(folder, 'not-mounted', 'authz.sock')
    const error = await removeStaleSocket(missing).catch((caught: unknown) => caught)
    expect(String(error)).to.include(`unix:${missing}: the folder ${join(folder, 'not-mounted')} does not exist`)
  })

  it('stays where its owner lives and has no room for one more connection', async () => {
    owner.kill('SIGSTOP')
    let code: string | undefined
    for (let tries = 0; tries < 10 && code === undefined; tries += 1) code = await connection()
    expect(code).to.equal('EAGAIN')
    const failure = await removeStaleSocket(path).catch((error: Error) => error.message)
    expect(failure).to.contain(`unix:${path}: whether another process listens there cannot be told (EAGAIN)`)
    expect(existsSync(path)).to.equal(true)
  })

  it('goes where its owner was killed', async () => {
    owner.kill('SIGKILL')
    await once(owner, 'exit')
    expect(existsSync(path)).to.equal(true)
    await removeStaleSocket(path)
    expect(existsSync(path)).to.equal(false)
  })
})
