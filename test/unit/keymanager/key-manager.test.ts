import { hash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { clientIdentity, createKeyManager, type KeyManager } from '../../../src/keymanager/key-manager.ts'
import { type Authority, oauth2Config, startAuthority } from '../../support/authority.ts'
import { createFakeClock } from '../../support/clock.ts'
import { loadWell } from '../config/writing.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const uncounted = {
  introspection() {},
  introspectionsInFlight() {},
  breaker() {},
  ownTokenRenewal() {},
  ownTokenExpiresAt() {},
}

describe('the key manager of one configuration after another', () => {
  const clock = createFakeClock()
  const dependencies = { clock, log: silent, metrics: uncounted }
  let authority: Authority
  const made: KeyManager[] = []
  let folder: string
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'micro-gw-key-manager-'))
    authority = await startAuthority({ rotate: true })
  })
  afterEach(async () => {
    for (const one of made.splice(0)) await one.close()
    await authority.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const make = (text: string, before?: KeyManager): KeyManager => {
    const one = createKeyManager(loadWell(text).keyManager, dependencies, before)
    made.push(one)
    return one
  }
  const secretOf = (index: number): string =>
    Buffer.from(authority.tokenRequests[index]?.headers['authorization']?.slice(6) ?? '', 'base64').toString()
  const renewed = async (): Promise<void> => {
    const before = authority.tokenRequests.length
    clock.advance(3_600_000 * 0.8)
    while (authority.tokenRequests.length === before) await new Promise(setImmediate)
  }

  it('takes the own token over, its rotated refresh token with it, and uses the new secret once in force', async () => {
    const text = oauth2Config(authority, 'direct+refresh')
    const first = make(text)
    await first.ownToken?.token.take()
    const second = make(text.replace('s%+cret:ü', 'changed'), first)
    expect(second.ownToken).to.equal(first.ownToken)
    await renewed()
    expect(secretOf(1)).not.to.contain('changed')
    await second.ownToken?.token.take()
    while (second.status().ownToken?.state !== 'fresh') await new Promise(setImmediate)
    second.takeOver()
    await first.close(second)
    await renewed()
    expect(secretOf(2)).to.contain('changed')
    expect(authority.tokenRequests.map(({ form }) => form.get('refresh_token'))).to.deep.equal([
      'refresh-0',
      'refresh-1',
      'refresh-2',
    ])
  })

  it('shows the expiry of the own token that is in force, and none where the next configuration has none', async () => {
    const shown: (number | undefined)[] = []
    const metrics = { ...uncounted, ownTokenExpiresAt: (atMs: number | undefined) => void shown.push(atMs) }
    const start = (text: string, before?: KeyManager): KeyManager => {
      const one = createKeyManager(loadWell(text).keyManager, { ...dependencies, metrics }, before)
      made.push(one)
      return one
    }
    const first = start(oauth2Config(authority, 'clientCredential'))
    first.takeOver()
    await first.ownToken?.token.take()
    expect(shown.at(-1)).to.be.a('number')
    start(
      `[keyManager]\nexternal = true\nintrospectUrl = "${authority.introspectUrl}"
[keymanager.security.none]\nenabled = true\n`,
      first,
    ).takeOver(first)
    expect(shown.at(-1)).to.equal(undefined)
    const before = shown.length
    await renewed()
    await first.ownToken?.token.take()
    expect(shown, 'what is not in force any more').to.have.length(before)
    const refused = start(oauth2Config(authority, 'password'), first)
    await refused.ownToken?.token.take()
    expect(shown, 'what never came into force').to.have.length(before)
    await first.close()
  })

  const withStateFile = (text: string, name = 'state.json'): string =>
    text.replace('refreshUrl =', `stateFile = "${join(folder, name)}"\nrefreshUrl =`)
  const sent = (): (string | null)[] => authority.tokenRequests.map(({ form }) => form.get('refresh_token'))
  const onDisk = async (refreshToken: string, name = 'state.json'): Promise<void> => {
    const read = (): string => {
      try {
        return readFileSync(join(folder, name), 'utf8')
      } catch {
        return ''
      }
    }
    while (!read().includes(`"${refreshToken}"`)) await new Promise(setImmediate)
  }
  const atRest = async (one: KeyManager): Promise<void> => {
    while (one.status().ownToken?.state !== 'fresh') await new Promise(setImmediate)
  }

  it('P26 takes the own token over where refresh.stateFile comes: the rotated refresh token is in it, none is sent twice', async () => {
    const text = oauth2Config(authority, 'direct+refresh')
    const first = make(text)
    await first.ownToken?.token.take()
    const second = make(withStateFile(text), first)
    expect(second.ownToken).to.equal(first.ownToken)
    second.takeOver()
    await onDisk('refresh-1')
    await renewed()
    await atRest(second)
    await onDisk('refresh-2')
    const moved = make(withStateFile(text, 'moved.json'), second)
    moved.takeOver()
    await onDisk('refresh-2', 'moved.json')
    await moved.close()
    // The next start.
    await make(withStateFile(text, 'moved.json')).ownToken?.token.take()
    expect(sent()).to.deep.equal(['refresh-0', 'refresh-1', 'refresh-2'])
  })

  it('P26 a refresh token that arrives while refresh.stateFile comes is the one on disk', async () => {
    const text = oauth2Config(authority, 'direct+refresh')
    const first = make(text)
    await first.ownToken?.token.take()
    const answer = Promise.withResolvers<void>()
    authority.onToken = async () => {
      await answer.promise
      return undefined
    }
    await renewed()
    const second = make(withStateFile(text), first)
    second.takeOver()
    answer.resolve()
    await atRest(second)
    await onDisk('refresh-2')
    expect(sent()).to.deep.equal(['refresh-0', 'refresh-1'])
  })

  it('P26 where nothing was rotated yet, what refresh.stateFile holds of an earlier life is used', async () => {
    const text = oauth2Config(authority, 'direct+refresh')
    const earlier = make(withStateFile(text))
    await earlier.ownToken?.token.take()
    await onDisk('refresh-1')
    await earlier.close()
    const direct = text.replace('accessToken = ""', 'accessToken = "own-0"')
    const first = make(direct)
    const second = make(withStateFile(direct), first)
    second.takeOver()
    await renewed()
    await onDisk('refresh-2')
    expect(sent()).to.deep.equal(['refresh-0', 'refresh-1'])
  })

  it('P26 what refresh.stateFile holds of another user, client, endpoint or scopes of the password grant is not used', async () => {
    const text = withStateFile(oauth2Config(authority, 'password+refresh'))
    const begin = async (other: string): Promise<Record<string, string>> => {
      const one = make(other)
      await one.ownToken?.token.take()
      await one.close()
      return Object.fromEntries(authority.tokenRequests.at(-1)?.form ?? [])
    }
    expect(await begin(text)).to.include({ grant_type: 'password', username: 'ü ser' })
    expect(await begin(text), 'the same again').to.include({ grant_type: 'refresh_token', refresh_token: 'refresh-1' })
    for (const [written, other] of [
      ['username = "ü ser"', 'username = "another"'],
      ['gate/way 1', 'another'],
      [`tokenUrl = "${authority.tokenUrl}"`, `tokenUrl = "${authority.tokenUrl}/other"`],
      ['password = "p&ss=w"', 'password = "p&ss=w"\nscopes = "another"'],
    ] as const) {
      expect(text).to.contain(written)
      await begin(text)
      const asked = await begin(text.replace(written, other))
      expect(asked, other).to.include({ grant_type: 'password' })
    }
  })

  it('P26 a file that an earlier version wrote for a direct token is still used', async () => {
    const text = withStateFile(oauth2Config(authority, 'direct+refresh'))
    const began = hash('sha256', JSON.stringify(['direct', authority.tokenUrl, 'refresh-0']), 'hex')
    writeFileSync(join(folder, 'state.json'), JSON.stringify({ began_with: began, refresh_token: 'refresh-7' }))
    await make(text).ownToken?.token.take()
    expect(sent()).to.deep.equal(['refresh-7'])
  })

  it('keeps the own token where scopes, resource or audience of the refresh change: they shape the next one', async () => {
    const text = oauth2Config(authority, 'direct+refresh')
    const first = make(text)
    await first.ownToken?.token.take()
    const second = make(
      text.replace('scopes = "introspection"', 'scopes = "other"\nresource = "https://rs.example"\naudience = "rs"'),
      first,
    )
    expect(second.ownToken).to.equal(first.ownToken)
    second.takeOver()
    await renewed()
    const { form } = authority.tokenRequests[1] ?? expect.fail('a second request')
    expect(Object.fromEntries(form)).to.include({
      refresh_token: 'refresh-1',
      scope: 'other',
      resource: 'https://rs.example',
      audience: 'rs',
    })
  })

  it('keeps the own token where a second client secret comes or goes', async () => {
    const text = oauth2Config(authority, 'direct+refresh')
    const two = text.replace(/^(clientSecret = )(".*")$/m, '$1[$2, "next-secret"]')
    expect(two).to.contain('["')
    const first = make(text)
    const second = make(two, first)
    expect(second.ownToken).to.equal(first.ownToken)
    expect(make(text, second).ownToken).to.equal(first.ownToken)
  })

  it('obtains another own token for another client, configured token or grant', async () => {
    const text = oauth2Config(authority, 'direct+refresh')
    const first = make(text)
    for (const other of [
      text.replace('gate/way 1', 'other'),
      text.replace('refresh-0', 'refresh-other'),
      oauth2Config(authority, 'clientCredential'),
    ]) {
      expect(make(other, first).ownToken).not.to.equal(first.ownToken)
    }
  })

  it('names who asks: client id, else user name, else a digest of the configured token, else nothing', () => {
    const identity = (text: string): string => clientIdentity(loadWell(text).keyManager)
    expect(identity(oauth2Config(authority, 'clientCredential'))).to.equal('gate/way 1')
    expect(identity(oauth2Config(authority, 'direct+refresh'))).to.equal('gate/way 1')
    expect(identity(oauth2Config(authority, 'direct'))).to.match(/^[0-9a-f]{64}$/)
    const direct = oauth2Config(authority, 'direct')
    expect(identity(direct.replace('own-0', 'own-9'))).not.to.equal(identity(direct))
  })
})
