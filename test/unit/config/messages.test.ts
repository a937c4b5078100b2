import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { errorsOf, GOOD, inDirectory, load, loadWell, messagesOf } from './writing.ts'

const keyManager = (keys: string): string => GOOD.replace('[keyManager]', `[keyManager]\n${keys}`)

describe('what errors and warnings say', () => {
  it('names the variable of a cipher secret that cannot be read', () => {
    const encrypted = GOOD.replace('"secret"', '"@encrypted:{Z1CfAJwCEzmv2JNXIPnR/9AXHqOJqnDaaAQ7HsggGLQ=}"')
    const env = { MICRO_GW_AUTHZ_CIPHER_SECRET_FILE: '/nonexistent' }
    expect(errorsOf(load(encrypted, env)).join()).to.include(
      'MICRO_GW_AUTHZ_CIPHER_SECRET_FILE refers to the file /nonexistent, which does not exist',
    )
  })

  it('says both readings of a bare skew behind a reference too', () => {
    const loaded = load(keyManager('timestampSkew = "@env:{SKEW}"'), { SKEW: '5000' })
    expect(messagesOf(loaded, 'warning').join()).to.include('5000 is read as seconds').and.include('Write "5s"')
    const withUnit = load(keyManager('timestampSkew = "@env:{SKEW}"'), { SKEW: '10m' })
    expect(messagesOf(withUnit, 'warning').join()).to.include('10m is more than the longest skew')
  })

  it('names both kinds of value that workers may have', () => {
    expect(errorsOf(load(`${GOOD}[extAuthz]\nworkers = "AUTO"\n`)).join()).to.equal(
      'extAuthz.workers: `workers` must be "auto" or a whole number from 1 to 64, without quotes.',
    )
    expect(errorsOf(load(GOOD, { extAuthz_workers: '65' })).join()).to.include(
      '"auto" or a whole number from 1 to 64. (It',
    )
  })

  it("takes an IPv6 address as WSO2's proxy, with and without brackets", () => {
    const proxy = (host: string): string =>
      `${GOOD}[httpClients.proxy]\nenableInternalServices = true\nhost = "${host}"\nport = 3128\n`
    for (const host of ['::1', '[::1]']) expect(loadWell(proxy(host)).keyManager.proxy).to.equal('http://[::1]:3128')
    expect(errorsOf(load(proxy('10.0.0.1:80'))).join()).to.include('Must be a host name or address')
  })
})

describe('addresses that cannot be bound together', () => {
  const admin = (listen: string, localListen: string): string =>
    `${GOOD}[admin]\nlisten = "${listen}"\nlocalListen = "${localListen}"\n`
  const extAuthz = (...listen: readonly string[]): string => `${GOOD}[extAuthz]\nlisten = ${JSON.stringify(listen)}\n`

  it('are refused: `::` includes IPv4, and localhost is 127.0.0.1', () => {
    for (const toml of [
      admin('[::]:9800', '127.0.0.1:9800'),
      admin('localhost:9800', '127.0.0.1:9800'),
      admin('127.0.0.1:9800', 'LOCALHOST:9800'),
      admin('0.0.0.0:9800', '127.0.0.1:9800'),
      extAuthz('127.0.0.1:9001', 'localhost:9001'),
      extAuthz('[::]:9001', '0.0.0.0:9001'),
      extAuthz('unix:/run/a.sock', 'unix:///run/a.sock'),
      extAuthz('[::]:9797'),
      extAuthz('localhost:9798'),
    ])
      expect(errorsOf(load(toml)), toml).to.have.length(1)
  })

  it('are no others', () => {
    for (const toml of [
      admin('0.0.0.0:9800', '[::1]:9800'),
      admin('127.0.0.1:0', '127.0.0.1:0'),
      extAuthz('127.0.0.1:9001', '[::1]:9001', '127.0.0.1:9002'),
    ])
      expect(errorsOf(load(toml)), toml).to.deep.equal([])
  })
})

describe('refresh.stateFile', () => {
  const refresh = (stateFile: string): string => `[keyManager]
introspectUrl = "https://km.example.com/introspect"
[keymanager.security.oauth2]
enabled = true
[keymanager.security.oauth2.directToken]
enabled = true
[keymanager.security.oauth2.refresh]
enabled = true
refreshUrl = "https://km.example.com/token"
refreshToken = "r"
clientId = "c"
clientSecret = "s"
stateFile = "${stateFile}"
`

  it('is absent or a regular file', () => {
    inDirectory((directory) => {
      const [folder, file] = [join(directory, 'folder'), join(directory, 'file')]
      mkdirSync(folder)
      writeFileSync(file, '')
      expect(errorsOf(load(refresh(file)))).to.deep.equal([])
      expect(errorsOf(load(refresh(join(directory, 'absent'))))).to.deep.equal([])
      expect(errorsOf(load(refresh(folder))).join()).to.include('no regular file')
      expect(errorsOf(load(refresh(join(file, 'below'))))).to.have.length(1)
    })
  })
})
