/** `deploy/grafana`: no Grafana is to be had as a package, so the files are read as it would, and every query is parsed. */
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { load } from 'js-yaml'
import { after, before, describe, it } from 'mocha'
import { SCHEMA } from '../../src/config/schema.ts'
import { needTool } from '../support/tool.ts'
import { ROOT, run } from './kubernetes-rendered.ts'
import { type Exposition, scrapeProduct, selectorsOf, unknownIn } from './prometheus-exposition.ts'

const FOLDER = join(ROOT, 'deploy/grafana')
const RULES = join(ROOT, 'deploy/prometheus/rules/micro-gw-authz.yml')

interface Target {
  readonly refId: string
  readonly expr: string
  readonly legendFormat: string
  readonly datasource: { readonly type: string; readonly uid: string }
}
interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly datasource?: { readonly uid: string }
  readonly targets?: readonly Target[]
}
interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly schemaVersion: number
  readonly panels: readonly Panel[]
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr: string }[] }
  readonly templating: {
    readonly list: readonly {
      readonly name: string
      readonly type: string
      readonly definition?: string
      readonly allValue?: string
    }[]
  }
}
interface Rules {
  readonly groups: readonly {
    readonly rules: readonly { readonly record?: string; readonly annotations?: { readonly description: string } }[]
  }[]
}

/** Of Grafana itself, no plugin. */
const PANEL_TYPES = ['heatmap', 'row', 'stat', 'table', 'timeseries']
const TARGET_LABELS = ['job', 'instance', 'namespace']

describe('deploy/grafana', function () {
  this.timeout(60_000)
  const dashboard: Dashboard = JSON.parse(readFileSync(join(FOLDER, 'dashboards/micro-gw-authz.json'), 'utf8'))
  const shown = dashboard.panels.filter(({ type }) => type !== 'row')
  const targets = shown.flatMap((panel) => panel.targets ?? [])
  const expressions = [...targets, ...dashboard.annotations.list].map(({ expr }) => filledIn(expr))
  const rules = (load(readFileSync(RULES, 'utf8')) as Rules).groups.flatMap((group) => group.rules)
  const recorded = new Set(rules.flatMap(({ record }) => (record === undefined ? [] : [record])))
  const operations = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8')
  const folder = mkdtempSync(join(tmpdir(), 'grafana-'))
  let promtool: string
  let product: Exposition

  before(async function () {
    promtool = needTool(this, 'promtool')
    product = await scrapeProduct()
  })

  after(() => rmSync(folder, { recursive: true }))

  it("has a row for each of an operator's questions", () => {
    expect(dashboard.panels.filter(({ type }) => type === 'row').map(({ title }) => title)).to.deep.equal([
      'Now',
      'Traffic and decisions',
      'Latency by cache',
      'Introspection and breaker',
      'Cache',
      'Own token',
      'Process',
    ])
    expect(dashboard.panels[0]?.type).to.equal('row')
    expect(shown.length).to.be.above(25)
  })

  it('is a dashboard that Grafana can load: ids, kinds, places', () => {
    expect(dashboard.uid).to.equal('micro-gw-authz')
    expect(dashboard.schemaVersion).to.be.at.least(36)
    const ids = dashboard.panels.map(({ id }) => id)
    expect(new Set(ids).size, 'ids are unique').to.equal(ids.length)
    expect(new Set(shown.map(({ title }) => title)).size, 'titles are unique').to.equal(shown.length)
    for (const { title, type, gridPos } of dashboard.panels) {
      expect(type, title).to.be.oneOf(PANEL_TYPES)
      expect(gridPos.x + gridPos.w, title).to.be.at.most(24)
      expect(Math.min(gridPos.x, gridPos.y), title).to.be.at.least(0)
      expect(Math.min(gridPos.w, gridPos.h), title).to.be.above(0)
    }
    expect(overlaps(dashboard.panels)).to.deep.equal([])
  })

  it('finds panels that overlap', () => {
    const [first] = shown
    expect(first).to.not.equal(undefined)
    expect(overlaps(first === undefined ? [] : [first, { ...first, title: 'again' }])).to.have.length(1)
  })

  it('each panel says what a bad picture means', () => {
    for (const { title, description = '' } of shown) {
      expect(description, title).to.match(/^.{80,400}\.$/s)
      expect(description.split(/[.:;] /).length, `${title}: what it is, and what to look at`).to.be.above(1)
    }
  })

  it('names only keys, events, reasons and metrics that exist', () => {
    const texts = [
      ...shown.map(({ description = '' }) => description),
      ...rules.flatMap(({ annotations }) => (annotations === undefined ? [] : [annotations.description])),
    ].join('\n')
    const paths = new Set(SCHEMA.map(({ path }) => path))
    const keys = [...texts.matchAll(/\b(?:caching|keyManager|extAuthz|admin|log|policy|b7a)(?:\.[a-zA-Z]+)+/g)].map(
      ([key]) => key,
    )
    expect(keys.length).to.be.above(5)
    expect(keys.filter((key) => !paths.has(key))).to.deep.equal([])
    const words = [...texts.matchAll(/\b[a-z]+\d*(?:_[a-z0-9]+)+\b/g)].map(([word]) => word)
    expect(words.length).to.be.above(20)
    const values = new Set([...product.values()].flatMap((labels) => [...labels.values()].flatMap((seen) => [...seen])))
    const isKnown = (word: string): boolean => operations.includes(word) || product.has(word) || values.has(word)
    expect(words.filter((word) => !isKnown(word))).to.deep.equal([])
    const alerts = [...texts.matchAll(/\bMicroGw\w+/g)].map(([alert]) => alert)
    const rulesText = readFileSync(RULES, 'utf8')
    expect(alerts.filter((alert) => !rulesText.includes(`alert: ${alert}\n`))).to.deep.equal([])
  })

  it('every panel asks the chosen data source, for the chosen job, namespace and instance', () => {
    const variables = dashboard.templating.list.map(({ name }) => name)
    expect(variables).to.deep.equal(['datasource', 'job', 'namespace', 'instance'])
    // Where a label is absent (no Kubernetes) All has to match that too.
    for (const { type, allValue } of dashboard.templating.list) if (type === 'query') expect(allValue).to.equal('.*')
    for (const panel of shown) {
      expect(panel.datasource?.uid, panel.title).to.equal('$' + '{datasource}')
      expect(panel.targets?.length, panel.title).to.be.above(0)
      expect(new Set(panel.targets?.map(({ refId }) => refId)).size).to.equal(panel.targets?.length)
      for (const { expr, datasource } of panel.targets ?? []) {
        expect(datasource.uid).to.equal('$' + '{datasource}')
        for (const [, inside = ''] of expr.matchAll(/\{([^}]*)\}/g)) {
          expect(inside, panel.title).to.include('job=~"$job",namespace=~"$namespace"')
          if (!expr.startsWith('microgw:')) expect(inside, panel.title).to.include('instance=~"$instance"')
        }
        const used = [...expr.matchAll(/\$(\w+)/g)].map(([, name = '']) => name)
        expect(used.filter((name) => !variables.includes(name) && name !== '__rate_interval')).to.deep.equal([])
      }
    }
  })

  it('every query is PromQL', () => {
    const asRules = (queries: readonly string[]): string => {
      const file = join(folder, 'queries.yml')
      const made = queries.map((expr, index) => ({ record: `panel:query:${index}`, expr }))
      writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules: made }] }))
      return run(promtool, 'check', 'rules', file)
    }
    expect(asRules(expressions)).to.include(`SUCCESS: ${expressions.length} rules found`)
    expect(() => asRules(['sum by (reason (rate(microgw_checks_total[5m]))'])).to.throw('parse error')
  })

  it('asks for no metric, label or value that neither the product nor the rules have', () => {
    expect(expressions.flatMap((expr) => unknownIn(expr, product, recorded))).to.deep.equal([])
    const variables = dashboard.templating.list.flatMap(({ definition }) =>
      definition === undefined ? [] : [definition],
    )
    const selectors = variables.map((one) => /^label_values\((.*), (\w+)\)$/.exec(one))
    for (const match of selectors) {
      expect(unknownIn(filledIn(match?.[1] ?? 'not a query'), product, recorded)).to.deep.equal([])
      expect(TARGET_LABELS).to.include(match?.[2])
    }
    expect(selectors).to.have.length(3)
  })

  it('every legend names labels that its query keeps', () => {
    for (const { expr, legendFormat } of targets) {
      const kept = [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(', '))
      const own = expr.startsWith('microgw:') || kept.length === 0 ? [...TARGET_LABELS, 'store'] : []
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) expect([...kept, ...own], expr).to.include(label)
    }
  })

  it('shows every metric of ours', () => {
    const ours = [...product.keys()].filter((name) => name.startsWith('microgw_')).map(family)
    const asked = new Set(expressions.flatMap(selectorsOf).map(({ metric }) => family(metric)))
    // These two only behind the names the rules record.
    for (const [, metric = ''] of readFileSync(RULES, 'utf8').matchAll(/\b(microgw_\w+)/g)) asked.add(family(metric))
    expect([...new Set(ours)].filter((name) => !asked.has(name))).to.deep.equal([])
  })

  it('is provisioned beside a data source that scrapes as deploy/prometheus does', () => {
    expect(globSync('provisioning/**/*.yml', { cwd: FOLDER }).sort()).to.deep.equal([
      'provisioning/dashboards/micro-gw-authz.yml',
      'provisioning/datasources/prometheus.yml',
    ])
    const read = (path: string): unknown => load(readFileSync(join(ROOT, 'deploy', path), 'utf8'))
    const sources = read('grafana/provisioning/datasources/prometheus.yml')
    const prometheus = read('prometheus/prometheus.yml')
    expect(sources).to.have.nested.property('apiVersion', 1)
    expect(sources).to.have.nested.property('datasources[0].type', 'prometheus')
    expect(sources).to.have.nested.property('datasources[0].url', 'http://prometheus:9090')
    expect(sources).to.have.nested.property(
      'datasources[0].jsonData.timeInterval',
      Object(Object(prometheus).global).scrape_interval,
    )
    const providers = read('grafana/provisioning/dashboards/micro-gw-authz.yml')
    expect(providers).to.have.nested.property('apiVersion', 1)
    expect(providers).to.have.nested.property('providers[0].type', 'file')
    expect(providers).to.have.nested.property('providers[0].options.path', '/var/lib/grafana/dashboards')
  })
})

/** As Grafana fills it in where All is chosen. */
function filledIn(expression: string): string {
  return expression.replaceAll('$__rate_interval', '1m').replaceAll(/\$\w+/g, '.*')
}

function family(metric: string): string {
  return metric.replace(/_(?:bucket|sum|count)$/, '')
}

function overlaps(panels: readonly Panel[]): readonly string[] {
  return panels.flatMap((one, index) =>
    panels
      .slice(index + 1)
      .filter(({ gridPos: b }) => {
        const a = one.gridPos
        return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
      })
      .map((other) => `${one.title}, ${other.title}`),
  )
}
