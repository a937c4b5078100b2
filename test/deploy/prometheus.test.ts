/** `deploy/prometheus`: through promtool, and against the product's own metrics. */
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { load } from 'js-yaml'
import { before, describe, it } from 'mocha'
import { needTool } from '../support/tool.ts'
import { anchorsOf, run } from './kubernetes-rendered.ts'
import { type Exposition, scrapeProduct, selectorsOf, unknownIn } from './prometheus-exposition.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const FOLDER = join(ROOT, 'deploy/prometheus')
const RULES = join(FOLDER, 'rules/micro-gw-authz.yml')
const TESTS = globSync('tests/*.yml', { cwd: FOLDER }).sort()

interface Rule {
  readonly record?: string
  readonly alert?: string
  readonly expr: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}
interface RuleFile {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[]
}
interface RuleTests {
  readonly rule_files: readonly string[]
  readonly group_eval_order: readonly string[]
  readonly tests: readonly {
    readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts: readonly unknown[] }[]
  }[]
}

const asRules = (path: string): RuleFile => load(readFileSync(path, 'utf8')) as RuleFile
const asTests = (path: string): RuleTests => load(readFileSync(path, 'utf8')) as RuleTests

describe('deploy/prometheus', function () {
  this.timeout(120_000)
  let promtool: string
  let product: Exposition
  const rules = asRules(RULES).groups.flatMap((group) => group.rules)
  const alerts = rules.filter((rule) => rule.alert !== undefined)
  const recorded = new Set(rules.flatMap(({ record }) => (record === undefined ? [] : [record])))

  before(async function () {
    promtool = needTool(this, 'promtool')
    product = await scrapeProduct()
  })

  it('prometheus.yml is accepted, and loads every rule file', () => {
    const said = run(promtool, 'check', 'config', join(FOLDER, 'prometheus.yml'))
    expect(said).to.include(`${rules.length} rules found`)
    expect(globSync('rules/*.yml', { cwd: FOLDER })).to.deep.equal(['rules/micro-gw-authz.yml'])
  })

  it('scrapes often enough for the windows of the rules, and by the job name the rules look for', () => {
    const config = load(readFileSync(join(FOLDER, 'prometheus.yml'), 'utf8')) as {
      readonly global: { readonly scrape_interval: string }
      readonly scrape_configs: readonly { readonly job_name: string }[]
    }
    const shortest = Math.min(
      ...rules.flatMap(({ expr }) => [...expr.matchAll(/\[(\d+)m\]/g)].map((m) => Number(m[1]))),
    )
    // A rate needs two samples, and one scrape may fail.
    expect(shortest * 60).to.be.at.least(4 * Number.parseInt(config.global.scrape_interval, 10))
    expect(config.scrape_configs.map((scrape) => scrape.job_name)).to.deep.equal(['micro-gw-authz'])
    const jobs = rules.flatMap(({ expr }) => [...expr.matchAll(/job="([^"]*)"/g)].map((match) => match[1]))
    expect([...new Set(jobs)]).to.deep.equal(['micro-gw-authz'])
  })

  it('every rule is valid', () => {
    expect(run(promtool, 'check', 'rules', '--lint=all', '--lint-fatal', RULES)).to.include('SUCCESS')
  })

  for (const file of TESTS) {
    it(`promtool test rules ${file}`, () => {
      const path = join(FOLDER, file)
      // Without it the order is random, and so is the result.
      expect(asTests(path).group_eval_order).to.deep.equal(asRules(RULES).groups.map(({ name }) => name))
      expect(asTests(path).rule_files.map((rule) => join(dirname(path), rule))).to.deep.equal([RULES])
      expect(run(promtool, 'test', 'rules', path)).to.include('SUCCESS')
    })
  }

  it('every alert is made to fire and not to fire', () => {
    const cases = TESTS.flatMap((file) => asTests(join(FOLDER, file)).tests.flatMap((one) => one.alert_rule_test))
    const without = (fires: boolean): readonly string[] =>
      alerts
        .map(({ alert = '' }) => alert)
        .filter((alert) => !cases.some((one) => one.alertname === alert && one.exp_alerts.length > 0 === fires))
    expect(alerts.length).to.be.above(10)
    expect(without(true), 'never made to fire').to.deep.equal([])
    expect(without(false), 'never made not to fire').to.deep.equal([])
  })

  it('every alert says how bad, what, what to do, and where more is written', () => {
    const anchors = anchorsOf(readFileSync(join(ROOT, 'docs/operations.md'), 'utf8'))
    for (const { alert = '', labels = {}, annotations = {} } of alerts) {
      expect(labels['severity'], alert).to.be.oneOf(['critical', 'warning', 'info'])
      expect(annotations['summary'], alert).to.match(/^\{\{ \$labels\.job \}\} .{20,}/)
      expect(annotations['description'], alert).to.match(/.{100,}\.$/s)
      const [page, anchor] = (annotations['runbook_url'] ?? '').split('#')
      expect(page, alert).to.equal('docs/operations.md')
      expect(anchors, alert).to.include(anchor)
    }
  })

  it('asks for no metric, label or value that the product does not have', () => {
    expect(rules.flatMap(({ expr }) => unknownIn(expr, product, recorded))).to.deep.equal([])
    expect(rules.flatMap(({ expr }) => selectorsOf(expr)).length).to.be.above(rules.length)
  })

  it('a misspelt metric, label or value would be found', () => {
    const found = (expr: string): number => unknownIn(expr, product, recorded).length
    expect(found('rate(microgw_check_total[5m])')).to.equal(1)
    expect(found('microgw_breaker_state{status="open"}')).to.equal(1)
    expect(found('microgw_checks_total{reason=~"overloaded|internal_eror"}')).to.equal(1)
    expect(found('microgw:checks:rate1m')).to.equal(1)
  })
})
