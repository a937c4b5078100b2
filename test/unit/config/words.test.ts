import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { loadConfig } from '../../../src/config/load.ts'
import { errorsOf, GOOD, inDirectory, load, loadWell, messagesOf } from './writing.ts'

const OWN_TOKEN = `[keyManager]
introspectUrl = "https://km.example.com/introspect"
[keymanager.security.oauth2]
enabled = true
tokenUrl = "https://km.example.com/token"
[keymanager.security.oauth2.clientCredential]
enabled = true
`

describe('the words of a policy', () => {
  it('quotes one that stands in the file, and none that a reference names: it may be a secret', () => {
    const words = '"@env:{S}", "my word"'
    const toml = `${GOOD}[policy]\nrequiredScopes = "@env:{S}"\nanyScopes = [${words}]\nclients = "@env:{S}"\nissuer = "@env:{S}"\n[[policy.rules]]\nhosts = [${words}]\npaths = [${words}]\nmethods = "@env:{S}"\naudience = "@env:{S}"\n`
    const errors = errorsOf(load(toml, { S: 'canary word\u0007' }))
    expect(errors).to.have.length(11)
    expect(errors.join('\n')).to.not.include('canary')
    expect(errors.filter((error) => error.includes('"my word"'))).to.have.length(3)
    expect(errors.filter((error) => error.includes('What its reference names'))).to.have.length(8)
  })

  it('refuses what would never match: line ends and blanks around it', () => {
    const policy =
      '[policy]\nissuer = "https://as\\n"\naudience = [" x"]\nclients = "@env:{C}"\nrequiredClaims = ["a\\u0000"]\n'
    const errors = errorsOf(load(GOOD + policy, { C: 'a\nb' }))
    expect(errors.map((error) => error.split(':', 1)[0])).to.have.members(
      ['issuer', 'audience', 'clients', 'requiredClaims'].map((name) => `policy.${name}`),
    )
    for (const error of errors) expect(error).to.include('it would never match')
    expect(errorsOf(load(GOOD, { policy_issuer: 'https://as\n' })).join()).to.include('policy_issuer')
  })
})

describe('a host of a rule', () => {
  it('is a name or an address that a request can have, its port cut off', () => {
    const problems = (host: string): number => errorsOf(load(`${GOOD}[[policy.rules]]\nhosts = ["${host}"]\n`)).length
    for (const host of ['api.example.com', '*.example.com', '127.0.0.1', '[::1]'])
      expect(problems(host), host).to.equal(0)
    for (const host of ['[::1]:80', '[::1]x', 'x[::1]', 'api.example.com:80', 'api.example.com.', 'https://a'])
      expect(problems(host), host).to.equal(1)
  })
})

describe('[caching] of a shared store', () => {
  it('is refused where it asks for anything but what is there', () => {
    const errors = (keys: string): number => errorsOf(load(`${GOOD}[caching]\n${keys}\n`)).length
    for (const keys of ['storeTimeout = "20ms"', 'store = "memory"', 'unsealed = false'])
      expect(errors(keys), keys).to.equal(0)
    for (const keys of ['storeTimeout = "30ms"', 'storeTimeout = "19ms"', 'store = "redis://x"', 'unsealed = true'])
      expect(errors(keys), keys).to.equal(1)
  })
})

describe('names that the token endpoint must know', () => {
  const client = (keys: string): string => `${OWN_TOKEN}${keys}\n`

  it('may hold no control characters', () => {
    const errors = errorsOf(load(client('clientId = "a\\n"\nscopes = "é\\u0007 b"\naudience = "x\\r\\ny"')))
    const table = 'keyManager.security.oauth2.clientCredential'
    expect(errors).to.deep.equal([
      `${table}.clientId: It holds a control character, perhaps a line end.`,
      `${table}.scopes: A word of it is not a scope of RFC 6749: printable ASCII without space, \`"\` and \`\\\`; several scopes are several list items.`,
      `${table}.audience: It holds a control character, perhaps a line end.`,
    ])
  })

  it('are taken as they are else', () => {
    const keys = 'clientId = "a b:c"\nclientSecret = "s"\nscopes = "openid apim:api_view"\naudience = "x y"'
    const { security } = loadWell(client(keys)).keyManager
    const endpoint =
      security.kind === 'own_token' && security.ownToken.grant === 'client_credentials' && security.ownToken.endpoint
    expect(endpoint).to.deep.include({ scope: 'openid apim:api_view', audience: 'x y' })
  })
})

describe('[upstreamHeaders]', () => {
  it('follows references to the names of claims, and a change of their file means a reload', () => {
    inDirectory((directory) => {
      const [file, claim] = [join(directory, 'micro-gw.conf'), join(directory, 'claim')]
      writeFileSync(claim, 'email\n')
      writeFileSync(file, `${GOOD}[upstreamHeaders]\nx-a = "@env:{CLAIM}"\nx-b = "@file:{${claim}}"\n`)
      const loaded = loadConfig({ file, env: { CLAIM: 'tenant' } })
      expect(loaded.ok && loaded.config.upstreamHeaders).to.deep.include.members([
        { header: 'x-a', claim: 'tenant' },
        { header: 'x-b', claim: 'email' },
      ])
      expect(loaded.files).to.include(claim)
    })
  })

  it('refuses references that lead nowhere, warns of misspelt ones, and refuses names with blanks around them', () => {
    const headers = (claim: string) => load(`${GOOD}[upstreamHeaders]\nx-a = "${claim}"\n`)
    expect(errorsOf(headers('@env:{NOT_SET}')).join()).to.match(/^upstreamHeaders\.x-a: .*NOT_SET, which is not set/)
    expect(messagesOf(headers('@ENV:{X}'), 'warning').join()).to.include('is no reference')
    expect(errorsOf(headers(' sub')).join()).to.include('begins or ends with a blank')
    expect(errorsOf(load(`${GOOD}[metadata]\nclaims = ["a\\n"]\n`)).join()).to.include('control character')
  })
})

describe('a user name that cannot be read', () => {
  it('is one error, and not a missing scheme besides', () => {
    for (const table of ['keyManager', 'keyManager.security.basic']) {
      const km = `[keyManager]\nexternal = true\n[KeyManager.security.basic]\npassword = "p"\n[${table.toUpperCase()}]\nusername = "@file:{/nonexistent}"\n`
      const errors = errorsOf(load(km))
      expect(errors, table).to.have.length(1)
      expect(errors.join()).to.include(`${table}.username: `)
    }
  })
})

describe('a password that cannot be read', () => {
  it('is one error in its older spelling too', () => {
    const km = '[keyManager]\nexternal = true\nusername = "u"\npassword = "@file:{/nonexistent}"\n'
    expect(errorsOf(load(km))).to.have.length(1)
  })
})

describe("Ballerina's host of the metrics", () => {
  it('is accepted with a notice, in the file and as a variable', () => {
    const host = '[b7a.observability.metrics.prometheus]\nport = 9797\nhost = "0.0.0.0"\n'
    expect(errorsOf(load(GOOD + host))).to.deep.equal([])
    expect(messagesOf(load(GOOD + host), 'notice').join()).to.include('metrics.prometheus.host: Not used')
    expect(load(GOOD, { b7a_observability_metrics_prometheus_host: '0.0.0.0' }).problems).to.deep.equal([])
    expect(errorsOf(load(GOOD + host.replace('host', 'prt'))).join()).to.include('`port`')
    expect(errorsOf(load(GOOD + host.replace('host', 'post'))).join()).to.include('`port`')
  })
})
