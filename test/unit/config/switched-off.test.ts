import { expect } from 'chai'
import { describe, it } from 'mocha'
import { errorsOf, GOOD, load, loadWell } from './writing.ts'

const NONE = `[keyManager]
introspectUrl = "https://km.example.com/introspect"
[keyManager.security.none]
enabled = true
`
const GRANT = '[keyManager.security.oauth2.clientCredential]\nclientSecret = "@env:{NOT_SET}"\n'

describe('a section with enabled = false', () => {
  it('asks for nothing: [caching]', () => {
    const off = '[caching]\nstore = "redis://x"\nstaleIfError = "5m"\nunsealed = true\n'
    expect(loadWell(`${GOOD}${off}enabled = false\n`).caching.enabled).to.equal(false)
    expect(errorsOf(load(GOOD + off))).to.have.length(3)
    expect(errorsOf(load(`${GOOD}[caching]\nenabled = false\nstaleIfError = "soon"\n`)).join()).to.include(
      'must be a duration',
    )
  })

  it('differs from no older spelling: [keymanager.security.basic]', () => {
    const older = NONE.replace('[keyManager]', '[keyManager]\nusername = "a"\npassword = "x"')
    const basic = (keys: string): string => `${older}[keyManager.security.basic]\n${keys}`
    const off = basic('enabled = false\nusername = "b"\npassword = "y"\n')
    expect(loadWell(off).keyManager.security).to.deep.equal({ kind: 'none' })
    expect(errorsOf(load(basic('enabled = true\nusername = "b"\n'))).join()).to.include('Differs from')
  })

  it('is switched off by a reference or a variable too, and its references lead nowhere', () => {
    const written = `${NONE}[keyManager.security.oauth2]\nenabled = "@env:{ON}"\n${GRANT}`
    expect(errorsOf(load(written, { ON: 'false' }))).to.deep.equal([])
    expect(errorsOf(load(written, { ON: 'true' })).join()).to.include('NOT_SET')
    const variable = 'keymanager_security_oauth2_enabled'
    expect(errorsOf(load(NONE + GRANT, { [variable]: ' false ' }))).to.deep.equal([])
    expect(errorsOf(load(NONE + GRANT, { [variable]: 'true' })).join()).to.include('NOT_SET')
  })

  it('is not [b7a.observability.metrics]: its port is that of the probes', () => {
    const off =
      '[b7a.observability.metrics]\nenabled = false\n[b7a.observability.metrics.prometheus]\nport = "@env:{P}"\n'
    expect(loadWell(GOOD + off, { P: '9801' }).admin.listen.port).to.equal(9801)
  })

  it('leaves the switches below it unread as well', () => {
    const inner = `${GRANT}enabled = "@env:{NOT_SET_EITHER}"\n`
    expect(errorsOf(load(`${NONE}${inner}[keyManager.security.oauth2]\nenabled = false\n`))).to.deep.equal([])
    expect(errorsOf(load(NONE + inner)).join()).to.include('NOT_SET_EITHER')
  })
})
