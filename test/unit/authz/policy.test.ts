import { expect } from 'chai'
import { describe, it } from 'mocha'
import { createPolicy, shortfall } from '../../../src/authz/policy.ts'
import type { PolicyRule, PolicySettings } from '../../../src/authz/ports.ts'
import { compileRoute } from '../../../src/authz/route.ts'
import { claims, OPEN_POLICY, view } from '../../support/authz.ts'

const rule = (more: Partial<PolicyRule>): PolicyRule => ({
  ...OPEN_POLICY,
  name: 'r',
  hosts: [],
  methods: [],
  paths: [],
  anonymous: false,
  enforce: true,
  ...more,
})

function required(
  rules: readonly PolicyRule[],
  check: Parameters<typeof view>[0],
  more: { settings?: Partial<PolicySettings>; context?: Record<string, string> } = {},
) {
  const route = compileRoute(new Map(Object.entries(more.context ?? {})))
  if (!route.ok) throw new Error(route.detail)
  return createPolicy({ ...OPEN_POLICY, noMatch: 'deny', ...more.settings, rules }).requirements(
    view(check),
    route.policy,
  )
}

const matches = (match: Partial<PolicyRule>, check: Parameters<typeof view>[0]): boolean =>
  required([rule(match)], check).refused === undefined

describe('policy', () => {
  it('compares hosts lower-cased, port and trailing dot cut; *. at any depth, never itself', () => {
    const exact = { hosts: ['api.example.com'] }
    for (const host of [
      'api.example.com',
      'API.Example.com',
      'api.example.com:8443',
      'api.example.com.',
      'api.example.com.:80',
    ])
      expect(matches(exact, { host }), host).to.equal(true)
    for (const host of ['x.api.example.com', 'example.com', 'api.example.com.evil.org', ''])
      expect(matches(exact, { host }), host).to.equal(false)
    const wild = { hosts: ['*.example.com'] }
    for (const host of ['a.example.com', 'a.b.example.com:80']) expect(matches(wild, { host }), host).to.equal(true)
    for (const host of ['example.com', '.example.com', 'badexample.com', 'a.example.com.evil.org'])
      expect(matches(wild, { host }), host).to.equal(false)
  })

  it('compares methods exactly', () => {
    expect(matches({ methods: ['POST'] }, { method: 'POST' })).to.equal(true)
    expect(matches({ methods: ['POST'] }, { method: 'post' })).to.equal(false)
  })

  it('asks host, method and path together, and the first matching rule counts', () => {
    const both = { hosts: ['a'], paths: ['/x/*'] }
    expect(matches(both, { host: 'a', path: '/x/y?q' })).to.equal(true)
    expect(matches(both, { host: 'b', path: '/x/y' })).to.equal(false)
    const first = required([rule({ requiredScopes: ['one'] }), rule({ anonymous: true })], {})
    expect(first.anonymous).to.equal(false)
    expect(shortfall(first.enforced, claims())).to.deep.equal({ reason: 'insufficient_scope', scope: 'one' })
  })

  it('lets the route say anonymous, and its false win over the rule', () => {
    expect(required([rule({})], {}, { context: { anonymous: 'true' } }).anonymous).to.equal(true)
    expect(required([rule({ anonymous: true })], {}, { context: { anonymous: 'false' } }).anonymous).to.equal(false)
  })

  it('only counts a rule with enforce = false; the other layers still hold', () => {
    const asked = required([rule({ enforce: false, clients: ['x'] })], {}, { settings: { audience: ['other'] } })
    expect(asked.observed.map(({ clients }) => clients)).to.deep.equal([['x']])
    expect(shortfall(asked.enforced, claims())?.reason).to.equal('wrong_audience')
  })

  it('a rule with enforce = false does not take the place of the enforced one behind it, nor of another on trial', () => {
    const trials = [
      rule({ enforce: false, anonymous: true, clients: ['x'] }),
      rule({ enforce: false, audience: ['y'] }),
    ]
    const asked = required([...trials, rule({ requiredScopes: ['one'] }), rule({ requiredScopes: ['two'] })], {})
    expect(shortfall(asked.enforced, claims())).to.deep.equal({ reason: 'insufficient_scope', scope: 'one' })
    expect(asked.observed).to.deep.equal(trials)
    // Behind the one that counts nothing is looked at; alone they count as a match.
    expect(required([rule({}), ...trials], {}).observed).to.deep.equal([])
    expect(required(trials, {}).refused).to.equal(undefined)
  })

  it('is anonymous where every rule that is looked at says so: "a token is required" stays, on trial too', () => {
    const open = { anonymous: true }
    const trial = { enforce: false }
    const anonymous = (...rules: readonly Partial<PolicyRule>[]): boolean => required(rules.map(rule), {}).anonymous
    expect(anonymous(trial, open)).to.equal(false)
    expect(anonymous({ ...trial, ...open }, {})).to.equal(false)
    expect(anonymous({ ...trial, ...open }, trial, open)).to.equal(false)
    expect(anonymous(trial)).to.equal(false)
    expect(anonymous()).to.equal(false)
    expect(anonymous({ ...trial, ...open }, open)).to.equal(true)
    expect(anonymous({ ...trial, ...open })).to.equal(true)
    expect(anonymous(open, trial)).to.equal(true)
  })

  it('takes the first reason of the outcome table, whichever layer fails it', () => {
    const asked = required([rule({ clients: ['x'] })], {}, { context: { issuer: 'https://other' } })
    expect(shortfall(asked.enforced, claims())?.reason).to.equal('wrong_issuer')
  })

  it('C15 C17 compares scopes by whole words and case, the issuer without trimming', () => {
    for (const scope of ['A', 'a b', 'aa', ''])
      expect(shortfall([{ ...OPEN_POLICY, requiredScopes: [scope] }], claims())?.reason, scope).to.equal(
        'insufficient_scope',
      )
    expect(shortfall([{ ...OPEN_POLICY, requiredScopes: ['b', 'a', 'a'] }], claims())).to.equal(undefined)
    expect(shortfall([{ ...OPEN_POLICY, issuer: 'https://idp.example.com' }], claims())).to.equal(undefined)
    expect(shortfall([{ ...OPEN_POLICY, issuer: 'https://idp.example.com/' }], claims())?.reason).to.equal(
      'wrong_issuer',
    )
  })
})
