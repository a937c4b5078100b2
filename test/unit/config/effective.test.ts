import { expect } from 'chai'
import { describe, it } from 'mocha'
import type { Effective, EffectiveValue } from '../../../src/config/effective.ts'
import { GOOD, load } from './writing.ts'

describe('the configuration in force, key by key', () => {
  function effective(toml: string, env: Record<string, string> = {}, flags: Record<string, string> = {}): Effective {
    const loaded = load(toml, env, flags)
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
    return loaded.effective()
  }
  const find = (values: readonly EffectiveValue[], key: string) => values.find((one) => one.key === key)

  it('says whether the file, a variable, a flag or nobody set it', () => {
    const { values } = effective(`${GOOD}[log]\nallow = true\n`, { log_level: 'warn' }, { 'log.maxDenyPerSecond': '7' })
    expect(find(values, 'log.allow')).to.deep.include({ value: 'true', reference: undefined })
    expect(find(values, 'log.allow')?.source).to.deep.equal({
      kind: 'file',
      line: `${GOOD}[log]\nallow`.split('\n').length,
    })
    expect(find(values, 'log.level')).to.deep.include({
      value: '"warn"',
      source: { kind: 'variable', name: 'log_level' },
    })
    expect(find(values, 'log.maxDenyPerSecond')).to.deep.include({
      value: '7',
      source: { kind: 'flag', name: 'log.maxDenyPerSecond' },
    })
    expect(find(values, 'keyManager.timeout')).to.deep.include({ value: '2s', source: undefined })
  })

  it('names where a value stands elsewhere, and shows no secret', () => {
    const { values } = effective(GOOD.replace('"secret"', '"@env:{GATEWAY_PASSWORD}"'), {
      GATEWAY_PASSWORD: 'canary-password',
    })
    expect(find(values, 'keyManager.security.basic.password')).to.deep.include({
      value: '[redacted]',
      reference: '@env:{GATEWAY_PASSWORD}',
    })
    expect(JSON.stringify(effective(GOOD.replace('"secret"', '"canary-plain"')))).to.not.contain('canary')
    expect(JSON.stringify(values)).to.not.contain('canary')
  })

  it('names rules, and values that rules change after reading', () => {
    const { values } = effective(`${GOOD}[[policy.rules]]\nname = "one"\n[[policy.rules]]\nname = "two"\n`)
    expect(find(values, 'policy.rules')?.value).to.equal('one, two')
    expect(find(values, 'keyManager.security.basic.enabled')?.value).to.equal('true')
  })

  it('says what counts where rules replace what is written or the default', () => {
    const value = (toml: string, key: string): string | undefined => find(effective(toml).values, key)?.value
    const none = '[keyManager.security.none]\nenabled = true\n'
    const whole = `[keyManager]\nintrospectUrl = "https://km.example.com/introspect"\n${none}`
    expect(value(whole, 'keyManager.serverUrl')).to.equal(undefined)
    expect(value(whole, 'keyManager.tokenContext')).to.equal(undefined)
    expect(value(GOOD, 'keyManager.tokenContext')).to.equal('"oauth2"')
    expect(value(whole, 'keyManager.security.basic.enabled')).to.equal('false')
    expect(value(`${GOOD}method = "client_secret_jwt"\n`, 'keyManager.security.basic.enabled')).to.equal('true')
    expect(value(`${GOOD}[upstreamHeaders]\nx-auth-scope = ""\nx-a = "b"\n`, 'upstreamHeaders')).to.equal(
      '{"x-auth-subject":"sub","x-auth-username":"username","x-auth-client-id":"client_id","x-a":"b"}',
    )
  })

  it('says which address is bound, and who wrote its port', () => {
    const port = '[b7a.observability.metrics.prometheus]\nport = 9999\n'
    const { values } = effective(GOOD + port)
    const line = `${GOOD}${port}`.split('\n').length - 1
    expect(find(values, 'admin.listen')).to.deep.include({ value: '"0.0.0.0:9999"', source: { kind: 'file', line } })
    const both = effective(`${GOOD}${port}[admin]\nlisten = "[::1]:9800"\n`).values
    expect(find(both, 'admin.listen')?.value).to.equal('"[::1]:9800"')
    expect(find(both, 'b7a.observability.metrics.prometheus.port'), 'not used').to.equal(undefined)
    const skew = find(effective(`${GOOD}[server]\ntimestampSkew = 7000\n`).values, 'keyManager.timestampSkew')
    expect(skew).to.deep.include({ value: '7s' }).and.have.nested.property('source.kind', 'file')
  })

  it('names the file that was read', () => {
    expect(effective(GOOD).file).to.match(/micro-gw-conf-.*\/micro-gw\.conf$/)
  })
})
