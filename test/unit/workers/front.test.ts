import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { openFront } from '../../../src/workers/front.ts'

describe('the listeners of several workers', () => {
  const closers: (() => void)[] = []
  afterEach(() => {
    for (const close of closers.splice(0).reverse()) close()
  })

  function reach(address: string): Promise<Socket> {
    const socket = address.startsWith('unix:')
      ? connect(address.slice('unix:'.length))
      : connect(Number(address.split(':').at(-1)), address.slice(0, address.lastIndexOf(':')).replace(/[[\]]/g, ''))
    closers.push(() => socket.destroy())
    return new Promise((resolve, reject) => socket.once('connect', () => resolve(socket)).once('error', reject))
  }

  it('hand over each connection unread, with the listener it came by', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'micro-gw-front-'))
    closers.push(() => rmSync(dir, { recursive: true }))
    const accepted: { connection: Socket; listener: number }[] = []
    const listen = [
      { kind: 'tcp', host: '127.0.0.1', port: 0 },
      { kind: 'unix', path: join(dir, 'front.sock') },
    ] as const
    const front = await openFront(listen, 0o600, (connection, listener) => accepted.push({ connection, listener }))
    closers.push(front.close)
    for (const address of [...front.addresses].reverse()) (await reach(address)).write('PRI * HTTP/2.0')
    while (accepted.length < 2) await new Promise(setImmediate)
    for (const { connection } of accepted) closers.push(() => connection.destroy())
    expect(accepted.map(({ listener }) => listener)).to.deep.equal([1, 0])
    expect(accepted.map(({ connection }) => [connection.isPaused(), connection.bytesRead])).to.deep.equal([
      [true, 0],
      [true, 0],
    ])
  })

  it('bind every address that a name stands for, on one port', async () => {
    let accepted = 0
    const front = await openFront([{ kind: 'tcp', host: 'localhost', port: 0 }], 0o600, (connection) => {
      accepted += 1
      connection.destroy()
    })
    closers.push(front.close)
    const port = /^localhost:(\d+)$/.exec(front.addresses[0] ?? '')?.[1]
    await reach(`127.0.0.1:${port}`)
    while (accepted < 1) await new Promise(setImmediate)
  })

  it('leave nothing bound where one of them is taken', async () => {
    const taker = createServer().listen(0, '127.0.0.1')
    closers.push(() => taker.close())
    await new Promise((resolve) => taker.once('listening', resolve))
    const address = taker.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const dir = mkdtempSync(join(tmpdir(), 'micro-gw-front-'))
    closers.push(() => rmSync(dir, { recursive: true }))
    const path = join(dir, 'front.sock')
    const error = await openFront(
      [
        { kind: 'unix', path },
        { kind: 'tcp', host: '127.0.0.1', port },
      ],
      0o600,
      () => {},
    ).catch((thrown: unknown) => thrown)
    expect(String(error)).to.equal(`Error: cannot listen on 127.0.0.1:${port}: EADDRINUSE`)
    const refused = await reach(`unix:${path}`).catch(() => 'refused')
    expect(refused).to.equal('refused')
  })
})
