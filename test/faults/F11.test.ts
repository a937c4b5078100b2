import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { makeCertificates } from '../support/certificates.ts'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

describe('F11 a certificate that must not be trusted', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it('an unknown authority is refused, no byte of credentials is sent, and the log says TLS', async () => {
    const certificates = makeCertificates()
    const { key, cert } = certificates.server
    pair = await startPair({ keyManager: { tls: { key, cert } } })
    pair.keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
    expect((await pair.ask('Bearer t')).reason).to.equal('key_manager_unavailable')
    expect(pair.keyManager.requests).to.have.length(FIGURES.F11.bytesOfCredentials)
    expect(await pair.metric('microgw_introspections_total{outcome="tls"}')).to.equal(1)
    expect(pair.running.logs.some((line) => line.includes('"cause":"tls"'))).to.equal(true)
  })
})
