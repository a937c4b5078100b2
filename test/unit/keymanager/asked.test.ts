import { expect } from 'chai'
import { describe, it } from 'mocha'
import type { KeyManagerConfig } from '../../../src/config/config.ts'
import { Secret } from '../../../src/config/secret.ts'
import { digestOfSecrets, isReadAlike } from '../../../src/keymanager/asked.ts'
import { defaultTls } from '../../../src/net/tls.ts'
import { basic, keyManagerSettings } from './support.ts'

describe('how a key manager is asked', () => {
  const settings = (changes: Partial<KeyManagerConfig> = {}): KeyManagerConfig =>
    keyManagerSettings('', { introspectUrl: undefined, discoveryUrl: 'https://as.example.com/x', ...changes })
  const one = { config: settings(), tls: defaultTls }

  it('F11 metadata is read alike only over a connection as trustworthy, and for the same use', () => {
    expect(isReadAlike(one, { config: settings({ timeoutMs: 1 }), tls: { ...defaultTls } })).to.equal(true)
    const others: readonly (typeof one)[] = [
      { ...one, tls: { ...defaultTls, rejectUnauthorized: false } },
      { ...one, tls: { ...defaultTls, ca: Buffer.from('another') } },
      { ...one, tls: { ...defaultTls, servername: 'another' } },
      { ...one, config: settings({ proxy: 'http://proxy:3128' }) },
      { ...one, config: settings({ allowInsecure: true }) },
      { ...one, config: settings({ discoveryUrl: 'https://as.example.com/y' }) },
      { ...one, config: settings({ introspectUrl: 'https://as.example.com/introspect' }) },
      { ...one, config: settings({ security: { kind: 'tls_client_auth', clientId: 'a' } }) },
    ]
    for (const other of others) expect(isReadAlike(one, other), JSON.stringify(other)).to.equal(false)
  })

  it('tells secrets apart that compare equal, and keeps none', () => {
    const digest = (password: string): string =>
      digestOfSecrets(settings({ security: { ...basic, password: new Secret(password) } }))
    expect(digest('canary-one')).to.equal(digest('canary-one')).and.not.equal(digest('canary-two'))
    expect(digest('canary-one')).to.match(/^[0-9a-f]{64}$/)
  })
})
