import { expect } from 'chai'
import { describe, it } from 'mocha'
import type { CheckView, Claims, PolicyRule } from '../../../src/authz/ports.ts'
import { claims, createDomain, OPEN_POLICY, view } from '../../support/authz.ts'

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
const NONE = { credentials: undefined, credentialsCount: 0 } as const

type Domain = ReturnType<typeof createDomain>
const reasonFor = async (domain: Domain, check: CheckView): Promise<string> => (await domain.authorize(check)).reason

const withClaims = (domain: Domain, more: Partial<Claims>): Domain => {
  domain.answer(() => ({ kind: 'active', claims: claims(more) }))
  return domain
}

describe('the authorizer', () => {
  it('asks on a miss, answers a hit synchronously, and introspects once', async () => {
    const domain = createDomain()
    const first = domain.authorize(view())
    expect(first).to.be.instanceOf(Promise)
    expect(await first).to.include({ allow: true, reason: 'allowed', cache: 'miss', maxAgeSeconds: 60 })
    expect(domain.authorize(view())).to.include({ allow: true, reason: 'allowed', cache: 'hit' })
    expect(domain.asked).to.deep.equal(['good'])
  })

  it('denies every form that is not an HTTP request, before anything else', async () => {
    expect(await reasonFor(createDomain(), view({ form: 'not_http' }))).to.equal('not_http')
    expect(await reasonFor(createDomain(), view({ form: 'malformed' }))).to.equal('malformed_request')
  })

  it('denies by what the key manager said', async () => {
    const domain = createDomain()
    domain.answer(() => ({ kind: 'inactive' }))
    expect(await reasonFor(domain, view())).to.equal('inactive_token')
    for (const [kind, reason] of [
      ['malformed', 'key_manager_unavailable'],
      ['overloaded', 'overloaded'],
    ] as const) {
      const failing = createDomain()
      failing.answer(() => (kind === 'malformed' ? { kind, detail: 'x' } : { kind }))
      expect(await reasonFor(failing, view())).to.equal(reason)
      await reasonFor(failing, view())
      expect(failing.asked, 'failures are never cached').to.have.length(2)
    }
  })

  it('C12 C34 denies by what policy asks of the answer, hit and miss alike', async () => {
    const cases: readonly [Parameters<typeof createDomain>[0], Partial<Claims>, string][] = [
      [{}, { expSec: 1 }, 'expired_token'],
      [{}, { nbfSec: 9e9 }, 'premature_token'],
      [{ policy: { issuer: 'https://idp.example.com/' } }, {}, 'wrong_issuer'],
      [{ policy: { issuer: 'x' } }, { iss: undefined }, 'wrong_issuer'],
      [{ policy: { audience: ['other'] } }, {}, 'wrong_audience'],
      [{}, { isAccessToken: false }, 'not_an_access_token'],
      [{}, { isBound: true }, 'binding_failed'],
      [{ policy: { requiredScopes: ['a', 'c'] } }, {}, 'insufficient_scope'],
      [{ policy: { anyScopes: ['x', 'y'] } }, {}, 'insufficient_scope'],
      [{ policy: { clients: ['other'] } }, {}, 'wrong_client'],
      [{ policy: { clients: ['other'] } }, { clientId: undefined }, 'wrong_client'],
      [{ policy: { requiredClaims: ['token_type'] } }, {}, 'missing_claim'],
      [{ policy: { requiredClaims: ['__proto__'] } }, {}, 'missing_claim'],
      [{ policy: { requiredClaims: ['sub'] } }, { json: '{"sub":null}' }, 'missing_claim'],
      [{ policy: { noMatch: 'deny' } }, {}, 'no_matching_rule'],
    ]
    for (const [options, more, reason] of cases) {
      const domain = withClaims(createDomain(options), more)
      expect(await reasonFor(domain, view()), reason).to.equal(reason)
      expect(await reasonFor(domain, view()), `${reason}, again`).to.equal(reason)
    }
  })

  it('C75 names the scopes of the layer that falls short', async () => {
    const decision = await createDomain({ policy: { requiredScopes: ['x', 'y'] } }).authorize(view())
    expect(decision).to.include({ reason: 'insufficient_scope', scope: 'x y' })
  })

  it('makes every layer hold by itself: a rule loosens nothing', async () => {
    const domain = createDomain({ policy: { requiredScopes: ['z'], rules: [rule({ requiredScopes: ['a'] })] } })
    expect(await reasonFor(domain, view())).to.equal('insufficient_scope')
    expect(await reasonFor(createDomain(), view({ context: { scopes: 'z' } }))).to.equal('insufficient_scope')
  })

  it('a token remembered through one route never skips the rules of another', async () => {
    const domain = createDomain()
    expect(await reasonFor(domain, view())).to.equal('allowed')
    expect(await reasonFor(domain, view({ context: { scopes: 'admin' } }))).to.equal('insufficient_scope')
    expect(domain.asked).to.have.length(1)
  })

  it('lets anonymous lift only "a token is required"', async () => {
    const domain = createDomain({ policy: { rules: [rule({ anonymous: true, requiredScopes: ['z'] })] } })
    expect(await domain.authorize(view(NONE))).to.include({ reason: 'allowed_anonymous', otherScheme: false })
    expect(await domain.authorize(view({ credentials: 'Basic x' }))).to.include({
      reason: 'allowed_anonymous',
      otherScheme: true,
    })
    expect(await reasonFor(domain, view())).to.equal('insufficient_scope')
    expect(await reasonFor(domain, view({ credentials: 'Bearer a b' }))).to.equal('malformed_credentials')
    expect(await reasonFor(domain, view({ ...NONE, context: { anonymous: 'false' } }))).to.equal('missing_credentials')
  })

  it('counts a rule with enforce = false and allows', async () => {
    const domain = createDomain({ policy: { rules: [rule({ enforce: false, requiredScopes: ['z'] })] } })
    expect(await domain.authorize(view())).to.include({ reason: 'allowed', wouldDeny: 'insufficient_scope' })
    expect(await reasonFor(domain, view(NONE))).to.equal('missing_credentials')
  })

  it('passes a CORS preflight only where configured, and only a real one', async () => {
    const preflight = view({
      ...NONE,
      method: 'OPTIONS',
      headers: { origin: 'https://x', 'access-control-request-method': 'PUT' },
    })
    expect(await reasonFor(createDomain(), preflight)).to.equal('missing_credentials')
    const open = createDomain({ settings: { allowCorsPreflight: true } })
    expect(await reasonFor(open, preflight)).to.equal('allowed_preflight')
    for (const headers of [{}, { origin: 'https://x' }, { 'access-control-request-method': 'PUT' }])
      expect(await reasonFor(open, view({ ...NONE, method: 'OPTIONS', headers }))).to.equal('missing_credentials')
    expect(await reasonFor(open, { ...preflight, method: 'GET' })).to.equal('missing_credentials')
  })

  it('passes a preflight before policy is asked, in the order of the table', async () => {
    const settings = { allowCorsPreflight: true }
    const post = rule({ methods: ['POST'], paths: ['/x/*'] })
    const headers = { origin: 'https://x', 'access-control-request-method': 'POST' }
    const preflight = { ...NONE, method: 'OPTIONS', headers, path: '/x/1' }
    const denying = createDomain({ settings, policy: { noMatch: 'deny', rules: [post] } })
    // No rule for POST alone matches OPTIONS: refused, the setting would be of no use.
    expect(await reasonFor(denying, view(preflight))).to.equal('allowed_preflight')
    expect(await reasonFor(denying, view({ ...preflight, context: { anonymous: 'true' } }))).to.equal(
      'allowed_preflight',
    )
    expect(await reasonFor(denying, view({ ...preflight, path: '/x%2f1' }))).to.equal('allowed_preflight')
    expect(await reasonFor(denying, view({ ...preflight, context: { scope: 'a' } }))).to.equal('invalid_route_policy')
    expect(await reasonFor(denying, view({ ...preflight, credentials: 'Bearer good', credentialsCount: 1 }))).to.equal(
      'no_matching_rule',
    )
    const anonymous = createDomain({ settings, policy: { rules: [rule({ anonymous: true, paths: ['/x/*'] })] } })
    expect(await reasonFor(anonymous, view(preflight))).to.equal('allowed_anonymous')
  })

  it('lets anonymous on a route lift neither noMatch nor an ambiguous path', async () => {
    const context = { anonymous: 'true' }
    const denying = createDomain({ policy: { noMatch: 'deny', rules: [rule({ paths: ['/x/*'] })] } })
    expect(await reasonFor(denying, view({ ...NONE, context, path: '/y' }))).to.equal('no_matching_rule')
    expect(await reasonFor(denying, view({ ...NONE, context, path: '/x%2f1' }))).to.equal('ambiguous_path')
    expect(await reasonFor(denying, view({ ...NONE, context, path: '/x/1' }))).to.equal('allowed_anonymous')
  })

  it('reaches no anonymous rule by a path that another server reads as a protected one', async () => {
    const orders = rule({ paths: ['/orders/*'], requiredScopes: ['orders'] })
    const domain = createDomain({ policy: { rules: [orders, rule({ paths: ['/pub/*'], anonymous: true })] } })
    const tricks = [
      '/orders/1;y=%3f/../../../pub/z',
      '/orders/..;x/pub/z',
      '/orders//../pub/z',
      '/orders/1%253f/../../pub/z',
      '/orders/.%09./pub/z',
    ]
    for (const path of tricks) {
      expect(await reasonFor(domain, view({ ...NONE, path })), path).to.equal('missing_credentials')
      expect(await reasonFor(domain, view({ path })), path).to.equal('ambiguous_path')
    }
    expect(await reasonFor(domain, view({ ...NONE, path: '/orders/../pub;v=1/z?/orders' }))).to.equal(
      'allowed_anonymous',
    )
  })

  it('E12 denies an ambiguous path wherever any rule has paths, in the order of the table', async () => {
    const withPaths = { policy: { rules: [rule({ paths: ['/x/*'], anonymous: true })] } }
    const check = { path: '/x/%2e%2e%2fy' }
    expect(await reasonFor(createDomain(withPaths), view(check))).to.equal('ambiguous_path')
    expect(await reasonFor(createDomain(withPaths), view({ ...check, ...NONE }))).to.equal('missing_credentials')
    const down = createDomain(withPaths)
    down.answer(() => ({ kind: 'unavailable', cause: 'timeout', retryAfterMs: 0, detail: '' }))
    expect(await reasonFor(down, view(check))).to.equal('ambiguous_path')
    expect(await reasonFor(createDomain(), view(check)), 'no rule has paths').to.equal('allowed')
  })

  it('denies a route whose context is wrong, before credentials', async () => {
    const contexts = [
      { scope: 'a' },
      { aud: 'a' },
      { scopes: '' },
      { anonymous: 'yes' },
      { max_age: 'soon' },
      { acr_values: 'x' },
      { audiences: 'a' },
      { key_manager: 'x' },
    ]
    for (const context of contexts) {
      expect(await reasonFor(createDomain(), view({ ...NONE, context })), JSON.stringify(context)).to.equal(
        'invalid_route_policy',
      )
    }
    expect(await reasonFor(createDomain(), view({ context: { something_else: 'x' } }))).to.equal('allowed')
  })

  it('introspects again where the route wants a younger answer, and refreshes the entry', async () => {
    const domain = createDomain()
    const check = view({ context: { max_age: '10' } })
    await domain.authorize(check)
    domain.clock.advance(9000)
    expect(await domain.authorize(check)).to.include({ cache: 'hit' })
    domain.clock.advance(2000)
    expect(await domain.authorize(check)).to.include({ cache: 'miss' })
    expect(await domain.authorize(check)).to.include({ cache: 'hit' })
  })
})
