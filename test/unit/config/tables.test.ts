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

describe('problems with names', () => {
  it("names the keys of a table of WSO2's 3.0 that are one word since", () => {
    const toml = '[caching]\ntokenCache.expiryTime = 900000\ntokenCache.capacity = 10000\n'
    expect(errorsOf(load(GOOD + toml))).to.deep.equal([
      'caching.tokenCache: Unknown table. Written as one word in `[caching]`: `tokenCacheExpiryTime`, `tokenCacheCapacity`.',
    ])
  })

  it('no quoted key forges a line of its own', () => {
    const toml = `${GOOD}[policy]\n"a\\u001b[31m\\nx.conf:1: error: forged" = 1\n["b\\u2028\\r"]\n`
    const { problems } = load(toml)
    expect(problems).to.have.length(2)
    expect(problems.map(({ key }) => key)).to.deep.equal(['policy.a?[31m?x.conf:1: error: forged', 'b??'])
    expect(JSON.stringify(problems)).to.not.match(/\\[nru]|\u2028/)
  })

  it('bounds names joined by dots, in keys and in headers', () => {
    const deep = 'a.'.repeat(10_000)
    for (const toml of [`[b7a]\n${deep}a = 1\n`, `[b7a.${deep}a]\nx = 1\n`])
      expect(errorsOf(load(GOOD + toml)).join()).to.include('too many names are joined by dots')
    expect(load(`${GOOD}[b7a]\n${'a.'.repeat(31)}a = 1\n`).ok).to.equal(true)
  })

  it('reports tens of thousands without looking at each again for each', () => {
    const tables = Array.from({ length: 60_000 }, (_, index) => `[table${index}]\n`).join('')
    const before = process.cpuUsage()
    expect(load(GOOD + tables).problems).to.have.length(60_000)
    const { user, system } = process.cpuUsage(before)
    // Quadratic it was above ten seconds.
    expect((user + system) / 1e6).to.be.below(5)
  })
})
