import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { loadConfig } from '../../../src/config/load.ts'
import { makeCertificates } from '../../support/certificates.ts'
import { errorsOf, GOOD, inDirectory, load, loadWell, messagesOf } from './writing.ts'

describe('loading a configuration', () => {
  it('gives every default', () => {
    const config = loadWell(GOOD)
    expect(config.extAuthz.listen).to.deep.equal([{ kind: 'tcp', host: '127.0.0.1', port: 9001 }])
    expect(config.extAuthz.socketMode).to.equal(0o660)
    expect(config.admin).to.deep.equal({
      listen: { host: '0.0.0.0', port: 9797 },
      localListen: { host: '127.0.0.1', port: 9798 },
      metrics: true,
    })
    expect(config.keyManager.timeoutMs).to.equal(2000)
    expect(config.keyManager.timestampSkewMs).to.equal(5000)
    expect(config.caching).to.deep.equal({
      enabled: true,
      tokenCacheExpiryMs: 900_000,
      tokenCacheCapacity: 10_000,
      inactiveExpiryMs: 10_000,
      inactiveCapacity: 10_000,
    })
    expect(config.credentials).to.deep.equal({ header: 'authorization', remove: true })
    expect(load(GOOD).problems).to.deep.equal([])
  })

  it('freezes the result deeply', () => {
    const config = loadWell(`${GOOD}[[policy.rules]]\npaths = ["/a/*"]\n`)
    expect(Object.isFrozen(config)).to.equal(true)
    expect(Object.isFrozen(config.policy.rules[0]?.paths)).to.equal(true)
    expect(Object.isFrozen(config.extAuthz.listen)).to.equal(true)
  })

  it('F32 shows no secret in JSON, inspect or text', () => {
    const config = loadWell(GOOD.replace('"secret"', '"canary-secret"'))
    expect(JSON.stringify(config) + inspect(config, { depth: 20 })).to.not.include('canary')
    expect(config.keyManager.security.kind === 'basic' && config.keyManager.security.password.reveal()).to.equal(
      'canary-secret',
    )
  })

  it('merges tables whatever their case', () => {
    const config = loadWell(
      '[KEYMANAGER]\nexternal = true\n[keymanager.SECURITY.Basic]\nusername = "u"\npassword = "p"\n[CACHING]\ntokenCacheCapacity = 5\n',
    )
    expect(config.caching.tokenCacheCapacity).to.equal(5)
  })

  it('takes the same key twice with the same value', () => {
    expect(loadWell(`${GOOD}[keymanager]\nexternal = true\n`).keyManager.name).to.equal('default')
  })

  it('strips a byte-order mark', () => {
    expect(load(`\uFEFF${GOOD}`).ok).to.equal(true)
  })

  it('reads carriage returns', () => {
    expect(load(GOOD.replaceAll('\n', '\r\n')).ok).to.equal(true)
  })

  it('never doubles slashes in the introspection URL', () => {
    const url = (serverUrl: string, context: string): string | undefined =>
      loadWell(
        `[keyManager]\nexternal = true\nserverUrl = "${serverUrl}"\ntokenContext = "${context}"\n[keyManager.security.none]\nenabled = true\n`,
      ).keyManager.introspectUrl
    expect(url('https://km.example.com/', '/oauth2/')).to.equal('https://km.example.com/oauth2/introspect')
    expect(url('https://km.example.com/base', '')).to.equal('https://km.example.com/base/introspect')
    expect(url('https://km.example.com', 'a/b')).to.equal('https://km.example.com/a/b/introspect')
  })

  it('switches introspection on by introspectUrl alone, query included', () => {
    const config = loadWell(
      '[keyManager]\nintrospectUrl = "https://km.example.com/introspect/?realm=a"\n[keyManager.security.none]\nenabled = true\n',
    )
    expect(config.keyManager.introspectUrl).to.equal('https://km.example.com/introspect/?realm=a')
    expect(config.keyManager.security).to.deep.equal({ kind: 'none' })
  })

  it('allows plain http on loopback, and elsewhere with allowInsecure', () => {
    const file = (url: string): string => GOOD.replace('https://km.example.com', url)
    expect(load(file('http://127.0.0.1:8080')).ok).to.equal(true)
    expect(load(file('http://[::1]:8080')).ok).to.equal(true)
    expect(load(file('http://km.example.com')).ok).to.equal(false)
    expect(load(file('http://127.0.0.1.example.com')).ok).to.equal(false)
    expect(load(file('http://km.example.com'), { keyManager_allowInsecure: 'true' }).ok).to.equal(true)
  })

  it('F37 refuses file:, unix:, userinfo and fragment in introspection URLs, the key named', () => {
    for (const url of [
      'file:///x',
      'unix:/run/x',
      'https://u:p@km.example.com/i',
      'https://km.example.com/i#x',
      'https://@km.example.com/i',
    ]) {
      const loaded = load('[keyManager.security.none]\nenabled = true\n', { keyManager_introspectUrl: url })
      expect(errorsOf(loaded).join(), url).to.match(/^keyManager\.introspectUrl: /)
    }
  })

  it('F40 refuses a configuration in which credentials got lost', () => {
    for (const lost of [
      '',
      '[keyManager.security.basic]\npassword = "p"\n',
      '[keyManager.security.basic]\nenabled = true\n',
      '[keyManager.security.basic]\nusername = "u"\n',
      '[keyManager.security.basic]\nusername = ""\npassword = "p"\n',
    ]) {
      expect(load(`[keyManager]\nexternal = true\n${lost}`).ok, lost).to.equal(false)
    }
  })

  it('takes the older spelling of user name and password', () => {
    const { security } = loadWell('[keyManager]\nexternal = true\nusername = "u"\npassword = "p"\n').keyManager
    expect(security.kind === 'basic' && security.username).to.equal('u')
  })

  it('F31 leaves prototypes alone', () => {
    for (const key of ['__proto__', 'constructor', 'constructor.prototype', 'toString', '"\\u005f_proto__"']) {
      expect(load(`${GOOD}\n[${key}]\npolluted = true\n`).ok).to.equal(false)
      expect(load(`${GOOD}\n[policy]\n${key} = { polluted = true }\n`).ok).to.equal(false)
    }
    expect(Reflect.get({}, 'polluted')).to.equal(undefined)
    expect(Reflect.get(Object, 'polluted')).to.equal(undefined)
  })

  it('F38 survives deep nesting', () => {
    expect(errorsOf(load(`a = ${'['.repeat(100_000)}`)).join()).to.include('nested too deeply')
  })

  it('never shows a line of a file that does not parse', () => {
    const loaded = load('[keyManager.security.basic]\npassword = "canary"\nusername = = "x"\n')
    expect(JSON.stringify(loaded)).to.not.include('canary')
    expect(loaded.problems[0]?.line).to.equal(3)
  })

  it('reports a file that is missing, a directory, or not readable as text', () => {
    expect(errorsOf(loadConfig({ file: '/nonexistent/micro-gw.conf', env: {} })).join()).to.include('does not exist')
    inDirectory((directory) =>
      expect(errorsOf(loadConfig({ file: directory, env: {} })).join()).to.include('is a directory'),
    )
    expect(errorsOf(load(Uint8Array.of(0xff, 0xfe, 0))).join()).to.include('UTF-8')
  })

  it('reports without the default file what the environment lacks', () => {
    const loaded = loadConfig({ file: undefined, env: { keyManager_external: 'true' } })
    expect(errorsOf(loaded).join()).to.include('No credentials')
  })

  it('lists the files whose change means a reload', () => {
    inDirectory((directory) => {
      const [file, password, ca] = ['micro-gw.conf', 'password', 'ca.pem'].map((name) => join(directory, name)) as [
        string,
        string,
        string,
      ]
      writeFileSync(password, 'secret\n')
      const made = makeCertificates()
      writeFileSync(ca, made.server.ca)
      made.remove()
      writeFileSync(
        file,
        GOOD.replace('"secret"', `"@file:{${password}}"`).concat(`[keyManager.tls]\ncaFile = "${ca}"\n`),
      )
      const loaded = loadConfig({ file, env: {} })
      expect(loaded.ok && loaded.files).to.deep.equal([file, password, ca])
    })
  })

  it('reads listeners: sockets, IPv6, lists and port 0', () => {
    const config = loadWell(
      `${GOOD}[extAuthz]\nlisten = ["unix:/run/a.sock", "[::1]:0", "localhost:0"]\n[admin]\nlisten = "127.0.0.1:0"\nlocalListen = ""\n`,
    )
    expect(config.extAuthz.listen).to.deep.equal([
      { kind: 'unix', path: '/run/a.sock' },
      { kind: 'tcp', host: '::1', port: 0 },
      { kind: 'tcp', host: 'localhost', port: 0 },
    ])
    expect(config.admin.localListen).to.equal(undefined)
  })

  it("takes WSO2's metrics port where [admin] listen is absent", () => {
    const metrics = '[b7a.observability.metrics.prometheus]\nport = 9999\n'
    expect(loadWell(GOOD + metrics).admin.listen.port).to.equal(9999)
    expect(loadWell(`${GOOD}${metrics}[admin]\nlisten = "0.0.0.0:9797"\n`).admin.listen.port).to.equal(9797)
  })

  it("uses WSO2's proxy only for internal services", () => {
    const proxy = '[httpClients.proxy]\nenable = true\nhost = "proxy"\nport = 3128\n'
    expect(loadWell(GOOD + proxy).keyManager.proxy).to.equal(undefined)
    expect(loadWell(`${GOOD}${proxy}enableInternalServices = true\n`).keyManager.proxy).to.equal('http://proxy:3128')
  })

  it('merges upstream headers with their defaults and keeps removed ones managed', () => {
    const config = loadWell(`${GOOD}[upstreamHeaders]\nx-auth-scope = ""\nx-email = "email"\n`)
    expect(config.upstreamHeaders.map(({ header }) => header)).to.deep.equal([
      'x-auth-subject',
      'x-auth-username',
      'x-auth-client-id',
      'x-email',
    ])
    expect(config.managedHeaders).to.include('x-auth-scope').and.include('x-email')
  })

  it('names rules that have no name, and lowers hosts', () => {
    const { rules } = loadWell(`${GOOD}[[policy.rules]]\nhosts = ["API.Example.com"]\n`).policy
    expect(rules[0]?.name).to.equal('rule-1')
    expect(rules[0]?.hosts).to.deep.equal(['api.example.com'])
    expect(rules[0]?.enforce).to.equal(true)
  })

  it('reports contradictions of the names for introspection', () => {
    const km = (keys: string): string => `[keyManager]\n${keys}\n[keyManager.security.none]\nenabled = true\n`
    expect(load(km('enableLegacyMode = false')).ok).to.equal(true)
    expect(load(km('enableLegacyKM = false\nexternal = true')).ok).to.equal(true)
    expect(errorsOf(load(km('external = true\nenableLegacyKM = true'))).join()).to.include('contradict')
    expect(errorsOf(load(km('external = false\nenableLegacyMode = false'))).join()).to.include('contradict')
    expect(errorsOf(load(km('enableLegacyMode = true'))).join()).to.include('key-validation service')
  })

  it('reads 300 and "5s" as they are, and cuts what is longer', () => {
    const skew = (text: string): number =>
      loadWell(GOOD.replace('[keyManager]', `[keyManager]\ntimestampSkew = ${text}`)).keyManager.timestampSkewMs
    expect(skew('300')).to.equal(300_000)
    expect(skew('"5s"')).to.equal(5000)
    expect(skew('0')).to.equal(0)
    expect(skew('"10m"')).to.equal(300_000)
  })

  it('warns of a listener open to all, but not with client certificates asked for', () => {
    expect(messagesOf(load(`${GOOD}[extAuthz]\nlisten = "0.0.0.0:9001"\n`), 'warning')).to.have.length(1)
  })
})
