import { expect } from 'chai'
import { describe, it } from 'mocha'
import { loadConfig } from '../../../src/config/load.ts'
import { packSetup, type Setup, unpackSetup } from '../../../src/workers/setup.ts'

function setupOf(toml: string): Setup {
  const loaded = loadConfig({
    file: undefined,
    env: {},
    flags: Object.fromEntries(
      toml
        .split('\n')
        .filter((line) => line.includes('='))
        .map((line) => line.split('=', 2) as [string, string]),
    ),
  })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return {
    generation: 3,
    config: loaded.config,
    listen: loaded.config.extAuthz.listen,
    serverTls: { cert: Buffer.from('cert'), key: Buffer.from('key') },
    keyManagerTls: { rejectUnauthorized: true, ca: Buffer.from('ca') },
    clientIdentity: 'gateway',
    ownToken: { source: 1, token: undefined },
    decisionIdPrefix: '01234567',
    isServing: true,
  }
}

const BASIC = `keyManager.external=true
keyManager.introspectUrl=https://km.example.com/introspect
keymanager.security.basic.enabled=true
keymanager.security.basic.username=gateway
keymanager.security.basic.password=basic-secret`

const OWN_TOKEN = `keyManager.external=true
keyManager.introspectUrl=https://km.example.com/introspect
keymanager.security.oauth2.enabled=true
keymanager.security.oauth2.tokenUrl=https://km.example.com/token
keymanager.security.oauth2.clientCredential.enabled=true
keymanager.security.oauth2.clientCredential.clientId=gateway
keymanager.security.oauth2.clientCredential.clientSecret=client-secret`

/** As the channel does it. */
const sent = (setup: Setup): Setup => unpackSetup(structuredClone(packSetup(setup)))

describe('what a worker is sent', () => {
  it('arrives whole, secrets of introspection included', () => {
    const setup = setupOf(BASIC)
    const received = sent(setup)
    const { security } = received.config.keyManager
    expect(security.kind === 'basic' && security.password.reveal()).to.equal('basic-secret')
    expect(JSON.stringify(packSetup(setup))).to.include('basic-secret')
    // A Secret prints itself alike whatever it holds: everything else is compared.
    expect(JSON.stringify(received.config)).to.equal(JSON.stringify(setup.config))
    expect(received.config.policy).to.deep.equal(setup.config.policy)
    expect(received).to.include({ generation: 3, clientIdentity: 'gateway', decisionIdPrefix: '01234567' })
  })

  it('holds nothing by which an own token is obtained', () => {
    const packed = JSON.stringify(packSetup(setupOf(OWN_TOKEN)))
    expect(packed).to.include('"gateway"')
    expect(packed).not.to.include('client-secret')
    const { security } = sent(setupOf(OWN_TOKEN)).config.keyManager
    expect(security.kind).to.equal('own_token')
  })
})
