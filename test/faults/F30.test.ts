import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'

describe('F30 a client sends our managed headers', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('each is overwritten or removed on every allow, anonymous too, in both spellings', async () => {
    pair = await startPair({ toml: '[[policy.rules]]\nname = "open"\npaths = ["/open/*"]\nanonymous = true\n' })
    pair.keyManager.answer({ body: { active: true, sub: 'alice', exp: inSeconds(300) } })
    const managed = ['x-auth-subject', 'x-auth-username', 'x-auth-client-id', 'x-auth-scope']
    for (const authorization of ['Bearer t', undefined]) {
      const seen = await pair.ask(authorization, { path: '/open/x', headers: { 'x-auth-subject': 'evil' } })
      expect(seen.allowed).to.equal(true)
      for (const name of managed) {
        const set = name in seen.headers
        expect(seen.removed.includes(name), name).to.equal(!set)
        for (const spelling of [name.replaceAll('-', '_'), name.replace('-', '_')])
          expect(seen.removed).to.include(spelling)
      }
      expect(Object.values(seen.headers)).to.not.include('evil')
      expect(seen.removed).to.include('authorization')
    }
  })

  it('a header that the configuration switched off is still removed, and one it adds is managed', async () => {
    const rule = '[[policy.rules]]\nname = "open"\npaths = ["/open/*"]\nanonymous = true\n'
    pair = await startPair({ toml: `[upstreamHeaders]\nx-auth-subject = ""\nx-tenant = "tenant"\n${rule}` })
    pair.keyManager.answer({ body: { active: true, sub: 'alice', tenant: 'acme', exp: inSeconds(300) } })
    const headers = { 'x-auth-subject': 'evil', x_auth_subject: 'evil', 'x-tenant': 'evil', x_tenant: 'evil' }
    const known = await pair.ask('Bearer t', { headers })
    const anonymous = await pair.ask(undefined, { path: '/open/x', headers })
    expect([known.allowed, anonymous.allowed]).to.deep.equal([true, true])
    expect(known.headers).to.include({ 'x-tenant': 'acme' }).and.not.have.property('x-auth-subject')
    expect(known.removed).to.include.members(['x-auth-subject', 'x_auth_subject', 'x_tenant'])
    expect(known.removed).to.not.include('x-tenant')
    expect(anonymous.headers).to.deep.equal({})
    expect(anonymous.removed).to.include.members(['x-auth-subject', 'x_auth_subject', 'x-tenant', 'x_tenant'])
  })
})
