import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { Secret } from '../../../src/config/secret.ts'
import { type ScriptedKeyManager, startKeyManager } from '../../support/key-manager.ts'
import { named, observe } from './support.ts'

describe('a connection that breaks under a signed call', () => {
  const security = {
    kind: 'client_secret_jwt',
    clientId: 'gateway',
    key: new Secret('s'.repeat(64)),
    alg: 'HS256',
    keyId: undefined,
    audience: undefined,
  } as const
  let keyManager: ScriptedKeyManager
  beforeEach(async () => {
    keyManager = await startKeyManager()
  })
  afterEach(() => keyManager.close())

  it('F04 C43 is repeated with an assertion of its own: a server may refuse one it has seen (RFC 7523)', async () => {
    const seen = new Set<string>()
    keyManager.answer(({ form }, { socket, index }) => {
      const assertion = form.get('client_assertion') ?? ''
      if (seen.has(assertion)) return { status: 401 }
      seen.add(assertion)
      if (index > 0) return { body: { active: true } }
      socket.destroy()
      return undefined
    })
    const { ask, client } = observe(keyManager.url, { security, tokenTypeHint: 'hint' })
    const outcome = await ask('abc')
    await client.close()
    expect(named(outcome)).to.equal('active')
    const [first, second] = keyManager.requests.map(({ form }) => Object.fromEntries(form))
    expect({ ...second, client_assertion: '' }).to.deep.equal({ ...first, client_assertion: '' })
    expect(second).to.include({ token: 'abc', token_type_hint: 'hint', client_id: 'gateway' })
  })
})
