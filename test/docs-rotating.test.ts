/** The steps of "Rotating secrets" in docs/operations.md, taken: what passes meanwhile, and what log and metrics show. */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { encrypt } from '../src/commands/encrypt.ts'
import { POLL_INTERVAL_MS } from '../src/config/watch.ts'
import { basicConfig, startTestApp } from './support/app.ts'
import { createFakeClock } from './support/clock.ts'
import { inSeconds, type Pair, startPair } from './support/pair.ts'

const operations = readFileSync(new URL('../docs/operations.md', import.meta.url), 'utf8')
const TOKEN_LIFE_SEC = 3600

describe('rotating secrets as docs/operations.md says', () => {
  let directory = ''
  let pair: Pair | undefined
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rotating-'))
  })
  afterEach(async () => {
    await pair?.close()
    pair = undefined
    rmSync(directory, { recursive: true, force: true })
  })

  /** As Kubernetes does it: a folder beside, then the link to it replaced at once. */
  let mounts = 0
  const mount = (files: Readonly<Record<string, string>>): void => {
    const folder = join(directory, `mount-${mounts}`)
    mounts += 1
    mkdirSync(folder)
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    symlinkSync(folder, `${folder}.link`)
    renameSync(`${folder}.link`, join(directory, 'secrets'))
  }
  const secret = (name: string): string => `@file:{${join(directory, 'secrets', name)}}`

  it('a new password in its file is used within one look, and what is remembered still passes', async () => {
    mount({ gateway: 'old\n' })
    const clock = createFakeClock({ wallMs: Date.now() })
    pair = await startPair({ clock, flags: { 'keyManager.security.basic.password': secret('gateway') } })
    pair.keyManager.tokens.set('first', { active: true, exp: inSeconds(300) })
    pair.keyManager.tokens.set('second', { active: true, exp: inSeconds(300) })
    expect(await pair.ask('Bearer first')).to.include({ allowed: true, cache: 'miss' })

    mount({ gateway: 'new\n' })
    clock.advance(POLL_INTERVAL_MS)
    expect(await pair.ask('Bearer first')).to.include({ allowed: true, cache: 'hit' })
    expect(await pair.ask('Bearer second')).to.include({ allowed: true, cache: 'miss' })
    expect(passwordsSeen(pair)).to.deep.equal(['old', 'new'])
    expect(pair.running.logs.join('')).to.include('config_reloaded').and.not.include('config_reload_failed')
    expect(await pair.metric('microgw_config_reloads_total{outcome="success"}')).to.equal(1)
  })

  it('two client secrets, then the old one removed at the server: no request fails', async () => {
    mount({ now: 'old', next: 'new' })
    const clock = createFakeClock({ wallMs: Date.now() })
    const block = /^```toml\n([\s\S]*?clientSecret = \[[\s\S]*?)^```/m.exec(operations)?.[1] ?? ''
    expect(block).to.include('["@file:{/run/secrets/now}", "@file:{/run/secrets/next}"]')
    pair = await startPair({ clock, flags: { 'keyManager.startupProbe': 'false' } })
    const { keyManager, running } = pair
    let accepted = ['old']
    keyManager.answer(({ path, form, headers }) => {
      if (path !== '/token') return { body: { active: true, exp: Math.floor(clock.wallMs() / 1000) + 600 } }
      const [, given = ''] = basicOf(headers['authorization'])
      if (form.get('grant_type') !== 'client_credentials' || !accepted.includes(given))
        return { status: 401, body: { error: 'invalid_client' } }
      return { body: { access_token: `own-${given}`, token_type: 'Bearer', expires_in: TOKEN_LIFE_SEC } }
    })
    const two = block
      .replaceAll('https://idp.example.com', `http://127.0.0.1:${keyManager.port}`)
      .replace(/@file:\{\/run\/secrets\/(\w+)\}/g, (_, name) => secret(name))
    const one = two.replace(/clientSecret = \[(".*?"), .*\]/, 'clientSecret = $1')
    const used = async (token: string): Promise<string> => {
      expect(await pair?.ask(`Bearer ${token}`)).to.include({ allowed: true, cache: 'miss' })
      return keyManager.requests.findLast(({ path }) => path !== '/token')?.headers['authorization'] ?? ''
    }

    running.rewrite(one)
    expect(await running.app.reload()).to.equal('success')
    expect(await used('a')).to.equal('Bearer own-old')
    running.rewrite(two)
    expect(await running.app.reload()).to.equal('success')
    expect(await used('b')).to.equal('Bearer own-old')

    accepted = ['new']
    clock.advance(TOKEN_LIFE_SEC * 800)
    await until(() => running.logs.filter((line) => line.includes('own_token_obtained')).length === 2)
    expect(await used('c')).to.equal('Bearer own-new')
    expect(running.logs.join('')).to.not.include('own_token_failed')
    expect(
      await pair.metric('microgw_own_token_renewals_total{grant="client_credentials",outcome="success"}'),
    ).to.equal(2)
  })

  it('the secret of @encrypted: values alone is refused and named; with the new values it is taken', async () => {
    // WSO2's vector: a fixed text, because without a MAC one wrong secret in 256 would seem to fit a random one.
    const written = '@encrypted:{Z1CfAJwCEzmv2JNXIPnR/9AXHqOJqnDaaAQ7HsggGLQ=}'
    const file = join(directory, 'cipher')
    writeFileSync(file, '12345\n')
    const config = (value: string): string =>
      basicConfig('http://127.0.0.1:9/introspect').replace('gateway-secret', value)
    const running = await startTestApp(config(written), {
      env: { MICRO_GW_AUTHZ_CIPHER_SECRET_FILE: file },
      flags: { 'keyManager.startupProbe': 'false' },
    })
    try {
      writeFileSync(file, 'next-cipher\n')
      expect(await running.app.reload()).to.equal('failure')
      expect(running.logs.join('')).to.include('cannot be decrypted with this secret')
      running.rewrite(config(`@encrypted:{${encrypt('Ballerina', 'next-cipher')}}`))
      expect(await running.app.reload()).to.equal('success')
    } finally {
      await running.close()
    }
  })
})

function basicOf(header: string | undefined): readonly string[] {
  return Buffer.from((header ?? '').replace('Basic ', ''), 'base64')
    .toString()
    .split(':')
}

function passwordsSeen({ keyManager }: Pair): readonly string[] {
  return keyManager.requests.map(({ headers }) => basicOf(headers['authorization'])[1] ?? '')
}

async function until(isSo: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + 5_000
  while (!isSo()) {
    if (Date.now() > deadlineMs) throw new Error('did not come about within 5 s')
    await new Promise(setImmediate)
  }
}
