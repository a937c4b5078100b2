import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { loadConfig } from '../../../src/config/load.ts'
import { errorsOf, load, loadWell, messagesOf } from './writing.ts'

const FIXTURES = new URL('../../fixtures/wso2/', import.meta.url)
const template = (name: string): string => readFileSync(new URL(`micro-gw-${name}.conf`, FIXTURES), 'utf8')
const KEY_MANAGER = `[keyManager]
serverUrl = "https://localhost:9443"
tokenContext = "oauth2"
timestampSkew = 5000
external = true
`
const BASIC = `[keymanager.security.basic]
enabled = true
username = "admin"
password = "admin"
`

describe("WSO2's own files", () => {
  it('loads the template of 3.1 once introspection is switched on in the environment', () => {
    const loaded = load(template('3.1').replace('external = false', ''), { keyManager_external: 'true' })
    expect(errorsOf(loaded)).to.deep.equal([])
    expect(messagesOf(loaded, 'warning').map((message) => message.split(':', 1)[0])).to.deep.equal([
      'keyManager.timestampSkew',
      'keyManager.security.basic.password',
    ])
  })

  it('lets the environment override external = false of the template', () => {
    const config = loadWell(template('3.1'), { keyManager_external: 'true' })
    expect(config.keyManager.introspectUrl).to.equal('https://localhost:9443/oauth2/introspect')
    expect(config.keyManager.timestampSkewMs).to.equal(300_000)
    expect(config.admin.metrics).to.equal(false)
    expect(config.caching.tokenCacheExpiryMs).to.equal(900_000)
  })

  it('says how to switch introspection on for the template of 3.1 as it is', () => {
    expect(errorsOf(load(template('3.1')))).to.deep.equal([
      "keyManager.external: keyManager.external is false (the default): that selects WSO2's own key-validation service, which this sidecar does not speak yet. Set external = true, or keyManager_external=true.",
    ])
  })

  it('loads the template of 3.2 without its prose, whose enableLegacyMode = false means introspection', () => {
    const loaded = load(template('3.2'))
    expect(errorsOf(loaded)).to.deep.equal([])
    expect(messagesOf(loaded, 'warning')).to.have.length(1)
    expect(loadWell(template('3.2')).keyManager.timestampSkewMs).to.equal(5000)
  })

  it('reports the line of prose in the template of 3.2 as a syntax error with its line', () => {
    const source = template('3.2-as-shipped')
    const line = source.split('\n').findIndex((text) => text.includes('URL of the JWKs endpoint')) + 1
    const [problem] = load(source).problems
    expect(problem?.line).to.equal(line)
    expect(problem?.message).to.include(`line ${line}, column 7`).and.not.include('JWKs')
  })

  it('names each unused table once', () => {
    const notices = load(template('3.2')).problems.filter(({ message }) => message.includes('`[throttlingConfig]`'))
    expect(notices).to.have.length(1)
  })
})

describe('the page "Configuring an External Key Manager"', () => {
  it('loads key manager and basic section as they are', () => {
    const { keyManager } = loadWell(KEY_MANAGER + BASIC)
    expect(keyManager.introspectUrl).to.equal('https://localhost:9443/oauth2/introspect')
    expect(keyManager.security.kind).to.equal('basic')
  })

  it('loads the same from the environment alone', () => {
    const file = undefined
    const env = {
      keyManager_serverUrl: 'https://localhost:9443',
      keyManager_tokenContext: 'oauth2',
      keyManager_timestampSkew: '5000',
      keyManager_external: 'true',
      keymanager_security_basic_enabled: 'true',
      keymanager_security_basic_username: 'admin',
      keymanager_security_basic_password: 'admin',
    }
    const loaded = loadConfig({ file, env })
    const written = loadWell(KEY_MANAGER + BASIC)
    expect(loaded.ok && JSON.stringify(loaded.config)).to.equal(JSON.stringify(written))
    expect(messagesOf(loaded, 'notice').join()).to.include('environment alone')
  })

  const OAUTH2 = `[keymanager.security.oauth2]
enabled = true
credentialBearer = "AUTH_HEADER_BEARER"
tokenUrl = "https://localhost:9443/oauth2/token"
`
  const REFRESH = `[keymanager.security.oauth2.refresh]
enabled = true
refreshUrl = "https://localhost:9443/oauth2/token"
scopes = ""
refreshToken = "r"
clientId = "gw"
clientSecret = "s"
`
  const grants: Record<string, readonly [section: string, keys: string, grant: string, refresh: boolean]> = {
    'client credentials': [
      'clientCredential',
      'clientId = "gw"\nclientSecret = "s"\nscopes = ""\n',
      'client_credentials',
      false,
    ],
    password: [
      'password',
      'clientId = "gw"\nclientSecret = "s"\nscopes = "a, b"\nusername = "u"\npassword = "p"\n',
      'password',
      false,
    ],
    'password and refresh': [
      'password',
      'clientId = "gw"\nclientSecret = "s"\nscopes = "a b"\nusername = "u"\npassword = "p"\n',
      'password',
      true,
    ],
    'direct token': ['directToken', 'accessToken = "t"\n', 'direct', false],
    'direct token and refresh': ['directToken', 'accessToken = ""\n', 'direct', true],
  }
  for (const [name, [section, keys, grant, refresh]] of Object.entries(grants)) {
    const table = `[keymanager.security.oauth2.${section}]\nenabled = true\n${keys}${refresh ? REFRESH : ''}`
    it(`loads oauth2 with ${name}, and the same from the environment`, () => {
      const written = loadWell(KEY_MANAGER + OAUTH2 + table)
      const { security } = written.keyManager
      expect(security.kind === 'own_token' && security.ownToken.grant).to.equal(grant)
      const env: Record<string, string> = {}
      let prefix = ''
      for (const line of (KEY_MANAGER + OAUTH2 + table).split('\n')) {
        if (line.startsWith('[')) prefix = line.slice(1, -1).replaceAll('.', '_')
        const [key, value = ''] = line.split(' = ')
        if (key !== undefined && line.includes(' = ')) env[`${prefix}_${key}`] = value.replaceAll('"', '')
      }
      const loaded = loadConfig({ file: undefined, env })
      expect(errorsOf(loaded)).to.deep.equal([])
      expect(loaded.ok && JSON.stringify(loaded.config)).to.equal(JSON.stringify(written))
    })
  }

  it('ignores an oauth2 section that is switched off, its references included', () => {
    const off = `[keymanager.security.oauth2]\nenabled = false\n[keymanager.security.oauth2.clientCredential]\nenabled = true\nclientSecret = "@env:{NOT_SET}"\n`
    expect(loadWell(KEY_MANAGER + BASIC + off).keyManager.security.kind).to.equal('basic')
  })
})
