import { expect } from 'chai'
import { describe, it } from 'mocha'
import { errorsOf, GOOD, load, messagesOf } from './writing.ts'

describe('tables written in another shape than theirs', () => {
  const brackets: readonly (readonly [written: string, toml: string, right: string])[] = [
    ['[[security]]', '[[security]]\nvalidateSubscriptions = true', '[security]'],
    ['security as a list', 'security = [{ validateSubscriptions = true }]', '[security]'],
    ['[[apim]]', '[[apim]]\neventHub.enable = true', '[apim]'],
    ['[[apim.eventHub]]', '[[apim.eventHub]]\nenable = true', '[apim.eventHub]'],
    ['[[jwtGeneratorConfig]]', '[[jwtGeneratorConfig]]\njwtGeneratorEnabled = true', '[jwtGeneratorConfig]'],
  ]
  for (const [written, toml, right] of brackets) {
    it(`refuses ${written}: what must not be ignored may stand there`, () => {
      const errors = errorsOf(load(`${toml}\n${GOOD}`))
      expect(errors.join()).to.include(`Write \`${right}\`, with single brackets.`)
    })
  }

  it('refuses a value in place of a table', () => {
    const refused = (toml: string): string => errorsOf(load(toml)).join()
    expect(refused(`security = true\n${GOOD}`)).to.equal('security: `security` is a table. Write `[security]`.')
    expect(refused(`${GOOD}[apim]\neventHub = true\n`)).to.include('Write `[apim.eventHub]`.')
    expect(refused(`${GOOD}[extAuthz]\ntls = ["a"]\n`)).to.include('Write `[extAuthz.tls]`.')
    expect(refused(`policy = []\n${GOOD}`)).to.include('Write `[policy]`.')
  })

  it('refuses rules under a misspelt name, with the right brackets in the hint', () => {
    for (const name of ['policy_rules', 'policyrules', 'policyRules', 'policy-rules']) {
      const loaded = load(`${GOOD}[[${name}]]\nrequiredScopes = ["orders"]\n`)
      expect(errorsOf(loaded), name).to.deep.equal([`${name}: Unknown table. Did you mean \`[[policy.rules]]\`?`])
      expect(messagesOf(loaded, 'notice'), name).to.deep.equal([])
    }
    expect(errorsOf(load(`${GOOD}[[jwtTokenConfg]]\nissuer = "a"\n`)).join()).to.include('`[[jwtTokenConfig]]`')
  })

  it('refuses lists and dates in place of the tables of an array', () => {
    for (const rules of ['[["orders"]]', '[[]]', '[2020-01-01T00:00:00Z]'])
      expect(errorsOf(load(`${GOOD}[policy]\nrules = ${rules}\n`)), rules).to.deep.equal([
        'policy.rules: `rules` must be an array of tables: `[[policy.rules]]`.',
      ])
    expect(errorsOf(load(`jwtTokenConfig = [["validateSubscription"]]\n${GOOD}`)).join()).to.include(
      'must be an array of tables',
    )
  })
})
