import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { ConfigurationError } from '../../src/config/configuration-error.ts'
import { basicConfig, startTestApp } from '../support/app.ts'
import { makeCertificates } from '../support/certificates.ts'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

describe('F24 a broken configuration on reload', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('keeps the old one, names key and line, and loses no request', async () => {
    pair = await startPair()
    pair.keyManager.tokens.set('good', { active: true, exp: inSeconds(300) })
    const before = Array.from({ length: 50 }, () => pair.ask('Bearer good'))
    pair.running.rewrite('[keyManager]\nexternal = true\ntimeout = "soon"\nsecretish = "canary-in-file"\n')
    expect(await pair.running.app.reload()).to.equal('failure')
    const seen = await Promise.all([...before, ...Array.from({ length: 50 }, () => pair.ask('Bearer good'))])
    expect(seen.filter((one) => !one.allowed)).to.have.length(FIGURES.F24.lostRequests)
    const line = pair.running.logs.find((text) => text.includes('config_reload_failed')) ?? ''
    expect(line).to.contain('keyManager.timeout').and.contain('"line":3').and.not.contain('canary-in-file')
    expect(await pair.metric('microgw_config_reloads_total{outcome="failure"}')).to.equal(1)
  })

  const broken: Readonly<Record<string, string>> = {
    'a client key of another certificate': 'keyFile',
    'garbage for the authorities': 'caFile',
  }
  for (const [what, name] of Object.entries(broken)) {
    it(`keeps the old certificates where the files become ${what}, and would not start with them`, async () => {
      const own = makeCertificates()
      const other = makeCertificates()
      const file = (key: string): string => join(own.directory, `used-${key}`)
      copyFileSync(own.caFile, file('caFile'))
      copyFileSync(own.clientCertFile, file('certFile'))
      copyFileSync(own.clientKeyFile, file('keyFile'))
      const keys = ['caFile', 'certFile', 'keyFile'].map((key) => `${key} = "${file(key)}"\n`).join('')
      pair = await startPair({
        toml: `[keyManager.tls]\n${keys}[caching]\nenabled = false\n`,
        keyManager: { tls: { ...own.server, requestCert: true, rejectUnauthorized: true } },
      })
      pair.keyManager.tokens.set('good', { active: true, exp: inSeconds(300) })
      expect(await pair.ask('Bearer good')).to.include({ allowed: true })

      if (name === 'keyFile') copyFileSync(other.clientKeyFile, file('keyFile'))
      else writeFileSync(file('caFile'), '-----BEGIN CERTIFICATE-----\ngarbage\n-----END CERTIFICATE-----\n')
      expect(await pair.running.app.reload()).to.equal('failure')
      expect(await pair.ask('Bearer good')).to.include({ allowed: true, cache: 'miss' })
      const line = pair.running.logs.find((text) => text.includes('config_reload_failed')) ?? ''
      expect(line)
        .to.contain('keyManager.tls')
        .and.contain(file(name))
        .and.match(/"line":\d/)
      expect(await pair.metric('microgw_config_reloads_total{outcome="failure"}')).to.equal(1)

      const refused = await startTestApp(basicConfig(pair.keyManager.url, `[keyManager.tls]\n${keys}`)).then(
        (started) => started.close().then(() => undefined),
        (error: unknown) => error,
      )
      expect(refused).to.be.instanceOf(ConfigurationError)
      own.remove()
      other.remove()
    })
  }
})
