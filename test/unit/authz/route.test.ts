import { expect } from 'chai'
import { describe, it } from 'mocha'
import { compileRoute, createRoutes } from '../../../src/authz/route.ts'
import { view } from '../../support/authz.ts'

const compiled = (context: Record<string, string>) => compileRoute(new Map(Object.entries(context)))

function policyOf(context: Record<string, string>) {
  const route = compiled(context)
  if (!route.ok) throw new Error(route.detail)
  return route.policy
}

describe("a route's context", () => {
  it('reads every key, lists separated by spaces', () => {
    const policy = policyOf({
      scopes: 'a b  a',
      any_scopes: 'c d',
      audience: 'https://api.example.com api',
      issuer: 'https://idp.example.com/',
      clients: 'shop web',
      anonymous: 'false',
      max_age: '30s',
    })
    expect(policy.requiredScopes).to.include.members(['a', 'b'])
    expect(policy.anyScopes).to.deep.equal(['c', 'd'])
    expect(policy.audience).to.deep.equal(['https://api.example.com', 'api'])
    expect(policy.issuer).to.equal('https://idp.example.com/')
    expect(policy.clients).to.deep.equal(['shop', 'web'])
    expect(policy.anonymous).to.equal(false)
    expect(policy.maxAgeMs).to.equal(30_000)
  })

  it('takes max_age as a duration or a bare number of seconds', () => {
    const cases = { '5': 5000, '250ms': 250, '2m': 120_000, '1h': 3_600_000, '0': 0 }
    for (const [text, ms] of Object.entries(cases)) expect(policyOf({ max_age: text }).maxAgeMs, text).to.equal(ms)
  })

  it('refuses an invalid or empty value', () => {
    const wrong: Record<string, string>[] = [
      { scopes: '' },
      { audience: '  ' },
      { scopes: 'a"b' },
      { any_scopes: 'a\\b' },
      { issuer: 'https://a https://b' },
      { anonymous: 'yes' },
      { anonymous: 'TRUE' },
      { max_age: '-1' },
      { max_age: 'soon' },
      { max_age: '5 s' },
      { max_age: '9'.repeat(40) },
    ]
    for (const context of wrong) expect(compiled(context).ok, JSON.stringify(context)).to.equal(false)
  })

  it('refuses keys of parts that come later, likely slips, and a key within two edits of a known one', () => {
    const keys = ['key_manager', 'acr_values', 'max_auth_age', 'aud', 'iss', 'client_id', 'required_scopes']
    const near = ['scope', 'audiences', 'Scopes', 'anonymus', 'maxage', 'client', 'isuer']
    for (const key of [...keys, ...near]) expect(compiled({ [key]: 'x' }).ok, key).to.equal(false)
  })

  it('refuses what is within two edits of a refused key, and any key in other letters', () => {
    const near = ['required_scope', 'requiredScopes', 'required-scopes', 'acr_value', 'acrValues', 'key_managers']
    const more = ['keyManager', 'max_auth_ages', 'maxAuthAge', 'clientId', 'client_ids', 'auds', 'AUD', 'Iss']
    const cased = ['SCOPES', 'Any_Scopes', 'ANY_SCOPE', 'maxAge', 'Anonymous', 'ISSUERS', 'KEY_MANAGER']
    for (const key of [...near, ...more, ...cased]) expect(compiled({ [key]: 'true' }).ok, key).to.equal(false)
  })

  it('says what was meant, or that it does not exist yet', () => {
    const detailOf = (key: string) => {
      const route = compiled({ [key]: 'x' })
      return route.ok ? '' : route.detail
    }
    expect(detailOf('SCOPES')).to.contain('did you mean scopes?')
    expect(detailOf('required_scope')).to.contain('did you mean scopes?')
    expect(detailOf('aud')).to.contain('did you mean audience?')
    expect(detailOf('acr_value')).to.contain('acr_values').and.contain('not supported')
  })

  it('ignores other unknown keys', () => {
    // Two edits from aud or iss, which are too short for that.
    const short = { app: 'shop', api: 'v1', id: '7', env: 'test', sub: 'x' }
    expect(compiled({ virtual_host: 'shop', 'com.example.team': 'x', tenant: 'a', ...short }).ok).to.equal(true)
  })

  it('keeps 1,024 contexts, and of more not the oldest', () => {
    const routeOf = createRoutes()
    let compiled = 0
    const ask = (key: number): void => {
      const contextExtensions = (): ReadonlyMap<string, string> => {
        compiled += 1
        return new Map([['scopes', 'a']])
      }
      routeOf(view({ contextKey: `key ${key}`, contextExtensions }))
    }
    for (let key = 0; key < 1_024; key += 1) ask(key)
    ask(0)
    expect(compiled).to.equal(1_024)
    ask(1_024)
    ask(0)
    expect(compiled).to.equal(1_026)
  })

  it('refuses a context that nobody writes, unread', () => {
    const routeOf = createRoutes()
    const contextExtensions = (): ReadonlyMap<string, string> => expect.fail('it is read')
    const route = routeOf(view({ contextKey: 'x'.repeat(65_537), contextExtensions }))
    expect(route).to.deep.equal({ ok: false, detail: "the route's context is longer than 64 KiB" })
  })

  it('compiles one context once', () => {
    let decoded = 0
    const routeOf = createRoutes()
    const check = view({
      contextKey: 'one',
      contextExtensions: () => {
        decoded += 1
        return new Map([['scopes', 'a']])
      },
    })
    expect(routeOf(check)).to.equal(routeOf(check))
    expect(decoded).to.equal(1)
  })
})
