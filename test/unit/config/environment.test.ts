import { expect } from 'chai'
import { describe, it } from 'mocha'
import { errorsOf, GOOD, load, loadWell, messagesOf } from './writing.ts'

describe('environment variables', () => {
  it('win over the file, in any case', () => {
    expect(loadWell(GOOD, { KEYMANAGER_TIMEOUT: '3s' }).keyManager.timeoutMs).to.equal(3000)
    expect(loadWell(GOOD, { caching_tokenCacheExpiryTime: '60000' }).caching.tokenCacheExpiryMs).to.equal(60_000)
  })

  it('lose against flags', () => {
    expect(loadWell(GOOD, { log_level: 'debug' }, { 'log.level': 'error' }).log.level).to.equal('error')
  })

  it('are parsed by the type of the key', () => {
    const config = loadWell(GOOD, {
      log_allow: 'TRUE',
      keyManager_maxInFlight: '7',
      policy_requiredScopes: 'a, b',
      extAuthz_listen: 'unix:/run/a.sock,127.0.0.1:0',
    })
    expect(config.log.allow).to.equal(true)
    expect(config.keyManager.maxInFlight).to.equal(7)
    expect(config.policy.requiredScopes).to.deep.equal(['a', 'b'])
    expect(config.extAuthz.listen).to.have.length(2)
  })

  it('that do not parse are named', () => {
    const [message] = errorsOf(load(GOOD, { KEYMANAGER_MAXINFLIGHT: 'many' }))
    expect(message).to.include('KEYMANAGER_MAXINFLIGHT').and.include('whole number')
    expect(load(GOOD, { keyManager_timeout: '2' }).problems[0]?.line).to.equal(undefined)
  })

  it('that are empty count as unset: a check is not removed by accident', () => {
    const config = loadWell(`${GOOD}[policy]\nissuer = "https://km.example.com"\n`, { policy_issuer: '' })
    expect(config.policy.issuer).to.equal('https://km.example.com')
    expect(load(GOOD, { policy_requiredScopes: ' , ' }).ok).to.equal(false)
  })

  it('that differ in case and value are an error, in case alone are not', () => {
    expect(errorsOf(load(GOOD, { log_level: 'info', LOG_LEVEL: 'debug' })).join()).to.include('differ only in case')
    expect(load(GOOD, { log_level: 'info', LOG_LEVEL: 'info' }).ok).to.equal(true)
  })

  it('that are misspelt are warned about, never an error', () => {
    const loaded = load(GOOD, { log_levl: 'debug', CACHING_ENABLE: 'false', log_something_else: 'x', PATH: '/bin' })
    expect(loaded.ok).to.equal(true)
    expect(messagesOf(loaded, 'warning').join()).to.include('log_level').and.include('caching_enabled')
    expect(messagesOf(loaded, 'warning')).to.have.length(2)
  })

  it("of Kubernetes' services are left alone", () => {
    const env = {
      LOG_SERVICE_HOST: '10.0.0.1',
      LOG_PORT: 'tcp://10.0.0.1:80',
      LOG_SERVICE_PORT_HTTP: '80',
      LOG_PORT_80_TCP: 'x',
      ADMIN_LISTEN_PORT: '1',
    }
    expect(load(GOOD, env).problems).to.deep.equal([])
  })

  it('cannot set rules or upstream headers, and that is said', () => {
    expect(messagesOf(load(GOOD, { policy_rules: 'x', upstreamHeaders_x_user: 'sub' }), 'warning')).to.have.length(2)
  })

  it('switch the basic scheme on by a user name', () => {
    const config = loadWell('', {
      keyManager_external: 'true',
      keymanager_security_basic_username: 'u',
      keymanager_security_basic_password: 'p',
    })
    expect(config.keyManager.security.kind).to.equal('basic')
  })

  it('may refuse an override of an unknown flag', () => {
    const said = (key: string): string => errorsOf(load(GOOD, {}, { [key]: 'debug' })).join()
    expect(said('log.levl')).to.include('no such key').and.include('`log.level`')
    expect(said('tokenCacheExpiryTime')).to.include('`caching.tokenCacheExpiryTime`')
    expect(said('security.basic.username')).to.include('`keyManager.security.basic.username`')
    for (const key of ['policy.rules', 'policy.rules[0].name', 'upstreamHeaders.x-user', 'jwtTokenConfig.issuer'])
      expect(said(key)).to.include('cannot be set on the command line')
  })
})
