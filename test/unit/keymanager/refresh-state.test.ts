import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { createRefreshState, type RefreshState } from '../../../src/keymanager/refresh-state.ts'

describe('P26 refresh.stateFile', () => {
  let folder = ''
  const events: string[] = []
  const said = (event: string): void => void events.push(event)
  const log = { debug: said, info: said, warn: said, error: said }
  beforeEach(() => {
    events.length = 0
    folder = mkdtempSync(join(tmpdir(), 'micro-gw-state-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))
  const file = (): string => join(folder, 'state.json')

  const create = (origin = 'configured'): RefreshState => createRefreshState(file(), origin, log)

  it('is read back, has mode 0600, and leaves nothing beside it', async () => {
    const state = create()
    expect(state.read()).to.equal(undefined)
    await state.write('one')
    await state.write('two')
    expect(create().read()).to.equal('two')
    expect(statSync(file()).mode & 0o777).to.equal(0o600)
    expect(readdirSync(folder)).to.deep.equal(['state.json'])
    expect(readFileSync(file(), 'utf8')).not.to.include('configured')
    expect(events).to.deep.equal([])
  })
  it('holds the last one whole where several are written at once', async () => {
    const state = create()
    await Promise.all(['one', 'two', 'three'].map((token) => state.write(token)))
    expect(create().read()).to.equal('three')
    expect(readdirSync(folder)).to.deep.equal(['state.json'])
    expect(events).to.deep.equal([])
  })
  it('is not used where another refresh token is configured since', async () => {
    await create().write('one')
    expect(create('another').read()).to.equal(undefined)
    expect(events).to.deep.equal([])
  })
  it('keeps what the successor of a reload has written, and is kept by it before that', async () => {
    const before = create()
    const after = create('another')
    await before.write('late', true)
    expect(create().read(), 'nobody else has written').to.equal('late')
    await Promise.all([after.write('newer'), before.write('later', true)])
    expect(create('another').read()).to.equal('newer')
    await before.write('in force again')
    expect(create().read()).to.equal('in force again')
    expect(readdirSync(folder)).to.deep.equal(['state.json'])
    expect(events).to.deep.equal([])
  })
  it('says so where it cannot be written', async () => {
    await create().write('one')
    rmSync(folder, { recursive: true })
    await create().write('two')
    expect(events).to.deep.equal(['own_token_state_not_written'])
  })
  it('is unreadable where it holds anything else, and says so', () => {
    for (const text of ['', '[]', 'null', '{"refresh_token":7}', '{', '\0']) {
      writeFileSync(file(), text)
      expect(create().read(), text).to.equal(undefined)
      expect(events.splice(0), text).to.deep.equal(['own_token_state_unreadable'])
    }
  })
})
