import { once } from 'node:events'
import { type ClientHttp2Session, connect, createServer, type Http2Server, type ServerHttp2Session } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { replaceStreamTable, replaceStreamTables, StreamTable } from '../../../src/server/stream-table.ts'

const contentOf = (map: Map<number, string>): [number, string][] => [...map].sort(([a], [b]) => a - b)

describe('stream table', () => {
  it('is a Map, whatever comes and goes', () => {
    const id = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 2 ** 31 - 1 }))
    // Ids that share a place: they differ by a multiple of the size.
    const crowded = fc.integer({ min: 0, max: 30 }).map((round) => 1 + round * 256)
    const step = fc.record({ id: fc.oneof(id, crowded), what: fc.constantFrom('set', 'set', 'delete', 'get') })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
        const table = new StreamTable<string>()
        const model = new Map<number, string>()
        for (const [index, { id: stream, what }] of steps.entries()) {
          if (what === 'set') {
            table.set(stream, `${index}`)
            model.set(stream, `${index}`)
          } else if (what === 'delete') expect(table.delete(stream)).to.equal(model.delete(stream))
          expect(table.get(stream)).to.equal(model.get(stream))
          expect(table.has(stream)).to.equal(model.has(stream))
          expect(table.size).to.equal(model.size)
        }
        expect([...table.entries()]).to.deep.equal(contentOf(model))
        expect([...table.keys()]).to.deep.equal(contentOf(model).map(([stream]) => stream))
        expect([...table.values()]).to.deep.equal(contentOf(model).map(([, value]) => value))
        const visited: [number, string][] = []
        table.forEach((value, stream) => {
          visited.push([stream, value])
        })
        expect(visited).to.deep.equal(contentOf(model))
        table.clear()
        expect([table.size, [...table]]).to.deep.equal([0, []])
      }),
      { numRuns: 300 },
    )
  })

  it('visits none that a visit before took away, and knows no stream 0', () => {
    const table = new StreamTable<string>()
    for (const id of [1, 3, 5]) table.set(id, `${id}`)
    const visited: string[] = []
    table.forEach((value) => {
      visited.push(value)
      table.delete(3)
    })
    expect(visited).to.deep.equal(['1', '5'])
    expect([table.has(0), table.get(0), table.delete(0)]).to.deep.equal([false, undefined, false])
    expect(() => table.set(0, '')).to.throw(RangeError)
  })

  describe('in a session of Node', () => {
    let server: Http2Server
    let client: ClientHttp2Session
    let sessions: ServerHttp2Session[]

    beforeEach(async () => {
      sessions = []
      server = createServer()
      server.on('session', (session) => sessions.push(session))
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
      client.on('error', () => undefined)
    })
    afterEach(async () => {
      client.destroy()
      for (const session of sessions) session.destroy()
      await new Promise((resolve) => server.close(resolve))
    })

    const tableOf = (session: object | undefined): unknown => {
      const key = Object.getOwnPropertySymbols(session ?? {}).find(({ description }) => description === 'state')
      return key === undefined ? undefined : Reflect.get(Reflect.get(Object(session), key), 'streams')
    }
    const ask = async (path: string): Promise<string> => {
      const stream = client.request({ ':path': path })
      let text = ''
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      await once(stream, 'close')
      return text
    }

    // This is what a new major version of Node is to be held to before KNOWN_MAJOR moves.
    it('is put there with its first stream, and holds what is open', async () => {
      replaceStreamTables()
      server.on('stream', (stream, { ':path': path }) => setImmediate(() => stream.end(path)))
      const paths = Array.from({ length: 300 }, (_, index) => `/${index}`)
      expect(await Promise.all(paths.map(ask))).to.deep.equal(paths)
      const table = tableOf(sessions[0])
      expect(table).to.be.instanceOf(StreamTable)
      expect(Object(table).size).to.equal(0)
    })

    it('ends all of them with the session', async () => {
      const opened = new Promise<void>((resolve) => {
        let open = 0
        server.on('stream', (stream) => {
          stream.on('error', () => undefined)
          open += 1
          if (open === 40) resolve()
        })
      })
      const asked = Array.from({ length: 40 }, () => ask('/'))
      await opened
      const [session] = sessions
      // Done already where `replaceStreamTables` was called in this process.
      replaceStreamTable(session ?? {})
      expect(tableOf(session)).to.be.instanceOf(StreamTable)
      expect(Object(tableOf(session)).size).to.equal(40)
      session?.destroy()
      for (const text of await Promise.all(asked)) expect(text).to.equal('')
      expect(Object(tableOf(session)).size).to.equal(0)
    })

    it('is left alone where it looks otherwise', () => {
      expect(replaceStreamTable({})).to.equal(false)
      expect(replaceStreamTable({ [Symbol('state')]: 1 })).to.equal(false)
      expect(replaceStreamTable({ [Symbol('state')]: { streams: {} } })).to.equal(false)
      expect(replaceStreamTable({ [Symbol('state')]: { streams: new Map([['a', 1]]) } })).to.equal(false)
    })
  })
})
