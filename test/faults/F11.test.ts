import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { type CertificateOptions, makeCertificates } from '../support/certificates.ts'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

describe('F11 a certificate that must not be trusted', () => {
  let pair: Pair
  afterEach(() => pair.close())

  const cases: readonly (readonly [string, CertificateOptions, boolean, string])[] = [
    ['an unknown authority', {}, false, 'certificate of an unknown authority'],
    ['expired', { expired: true }, true, 'certificate expired'],
    ['for another host', { serverNames: 'DNS:other.example' }, true, 'certificate is for another host name'],
  ]
  for (const [name, options, knowsAuthority, words] of cases) {
    it(`is refused, no byte of credentials is sent, and the log names it: ${name}`, async () => {
      const certificates = makeCertificates(options)
      const { key, cert } = certificates.server
      pair = await startPair({
        keyManager: { tls: { key, cert } },
        flags: knowsAuthority ? { 'keyManager.tls.caFile': certificates.caFile } : {},
      })
      pair.keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
      expect((await pair.ask('Bearer t')).reason).to.equal('key_manager_unavailable')
      const sent = pair.keyManager.requests.reduce((bytes, { body }) => bytes + body.length, 0)
      expect(sent).to.equal(FIGURES.F11.bytesOfCredentials)
      expect(pair.keyManager.requests).to.deep.equal([])
      expect(await pair.metric('microgw_introspections_total{outcome="tls"}')).to.equal(1)
      const line = pair.running.logs.find((text) => text.includes('introspection_failed')) ?? ''
      expect(line).to.contain('"cause":"tls"').and.contain(words)
      certificates.remove()
    })
  }

  it('shows that the same server is used where its certificate is good', async () => {
    const certificates = makeCertificates()
    const { key, cert } = certificates.server
    pair = await startPair({
      keyManager: { tls: { key, cert } },
      flags: { 'keyManager.tls.caFile': certificates.caFile },
    })
    pair.keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
    expect((await pair.ask('Bearer t')).allowed).to.equal(true)
    certificates.remove()
  })
})
