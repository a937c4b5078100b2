import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { createRefreshState } from '../../../src/keymanager/refresh-state.ts'

describe('P26 refresh.stateFile', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'micro-gw-state-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))
  const file = (): string => join(folder, 'state.json')

  it('is read back, has mode 0600, and leaves nothing beside it', async () => {
    const state = createRefreshState(file(), 'configured')
    expect(state.read()).to.deep.equal({ kind: 'none' })
    expect(await state.write('one')).to.equal(true)
    expect(await state.write('two')).to.equal(true)
    expect(createRefreshState(file(), 'configured').read()).to.deep.equal({ kind: 'token', token: 'two' })
    expect(statSync(file()).mode & 0o777).to.equal(0o600)
    expect(readdirSync(folder)).to.deep.equal(['state.json'])
    expect(readFileSync(file(), 'utf8')).not.to.include('configured')
  })
  it('is not used where another refresh token is configured since', async () => {
    await createRefreshState(file(), 'configured').write('one')
    expect(createRefreshState(file(), 'another').read()).to.deep.equal({ kind: 'none' })
  })
  it('keeps the old file where it cannot be written, and says so', async () => {
    await createRefreshState(file(), 'configured').write('one')
    rmSync(folder, { recursive: true })
    expect(await createRefreshState(file(), 'configured').write('two')).to.equal(false)
  })
  it('is unreadable where it holds anything else', () => {
    for (const text of ['', '[]', 'null', '{"refresh_token":7}', '{', '\0']) {
      writeFileSync(file(), text)
      expect(createRefreshState(file(), 'configured').read(), text).to.deep.equal({ kind: 'unreadable' })
    }
  })
})
