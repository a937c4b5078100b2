/** `deploy/helm/micro-gw-authz`: every `ci/*-values.yaml` through helm, Kubernetes' schemas, and the product itself. */
import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { load } from 'js-yaml'
import { after, before, describe, it } from 'mocha'
import { needTool } from '../support/tool.ts'
import { configSchema, readValuesSchema } from './helm-values-schema.ts'
import {
  brokenLinks,
  conform,
  type Effective,
  effectiveConfig,
  expectPodAgrees,
  expectRestricted,
  expectSelected,
  type Manifest,
  needSchemas,
  ofKind,
  ROOT,
  readManifests,
  run,
  type Workload,
  workloadOf,
} from './kubernetes-rendered.ts'

const CHART = 'deploy/helm/micro-gw-authz'
const CASES = globSync('ci/*-values.yaml', { cwd: join(ROOT, CHART) }).sort()
const TEMPLATES = globSync('templates/*.{yaml,txt,tpl}', { cwd: join(ROOT, CHART) }).sort()

const ALWAYS = ['ConfigMap', 'Deployment', 'NetworkPolicy', 'PodDisruptionBudget', 'Service', 'Service']
/** What each case prints beyond that. */
const MORE: Readonly<Record<string, readonly string[]>> = {
  'ci/autoscaling-values.yaml': ['HorizontalPodAutoscaler', 'PodMonitor'],
  'ci/mesh-values.yaml': ['ServiceAccount'],
  'ci/monitoring-values.yaml': ['PrometheusRule', 'ServiceAccount', 'ServiceMonitor'],
  'ci/mutual-tls-values.yaml': ['ServiceAccount'],
  'ci/own-token-values.yaml': ['ServiceAccount'],
}

describe('deploy/helm/micro-gw-authz', function () {
  this.timeout(60_000)
  let helm: string
  let schemas: ReturnType<typeof needSchemas>
  const rendered = new Map<string, string>()

  before(function () {
    helm = needTool(this, 'helm')
    schemas = needSchemas(this)
    for (const values of CASES) rendered.set(values, template(values))
  })

  after(() => schemas?.remove())

  // A helm built from its module believes in Kubernetes 1.20.
  const template = (values: string, ...more: readonly string[]): string =>
    run(
      helm,
      'template',
      'authz',
      CHART,
      '-n',
      'gateway',
      '--kube-version',
      '1.37.0',
      '-f',
      join(CHART, values),
      ...more,
    )

  /** What `helm lint` says, values given as `--set`. */
  function lint(values: string, ...sets: readonly string[]): { readonly code: number | null; readonly said: string } {
    const args = ['lint', '--strict', CHART, '-f', join(CHART, values), ...sets.flatMap((set) => ['--set', set])]
    const ran = spawnSync(helm, args, { cwd: ROOT, encoding: 'utf8' })
    return { code: ran.status, said: `${ran.stdout}${ran.stderr}` }
  }

  it('Kubernetes and the Prometheus operator take all of it, strictly', () => {
    const texts = [...rendered.values()].join('\n---\n')
    expect(conform(schemas, texts)).to.equal(readManifests(texts).length).and.to.be.above(30)
  })

  it("the README's links lead somewhere, and its values are enough", () => {
    expect(brokenLinks(join(ROOT, CHART, 'README.md'))).to.deep.equal([])
    const [, values = ''] = /^```yaml\n([\s\S]*?)^```/m.exec(readFileSync(join(ROOT, CHART, 'README.md'), 'utf8')) ?? []
    const args = ['template', 'authz', CHART, '--kube-version', '1.37.0', '-f', '-']
    const ran = spawnSync(helm, args, { cwd: ROOT, encoding: 'utf8', input: values })
    const manifests = readManifests(ran.stdout)
    const effective = effectiveConfig(manifests, workloadOf(manifests))
    effective.remove()
    expect(effective.said).to.include('usable: 0 errors, 0 warnings')
  })

  it('every case is expected here', () => expect(CASES).to.deep.equal(Object.keys(MORE).sort()))

  for (const values of CASES) {
    describe(values, () => {
      let manifests: readonly Manifest[]
      let workload: Workload
      let effective: Effective

      before(() => {
        manifests = readManifests(rendered.get(values) ?? '')
        workload = workloadOf(manifests)
        effective = effectiveConfig(manifests, workload)
      })

      after(() => effective?.remove())

      it('helm lint --strict', () => {
        const { code, said } = lint(values)
        expect(code, said).to.equal(0)
        expect(said).not.to.match(/\[(?:WARNING|ERROR)\]/)
      })

      it('prints what it should', () => {
        expect(manifests.map(({ kind }) => kind).sort()).to.deep.equal([...ALWAYS, ...(MORE[values] ?? [])].sort())
      })

      it('the product takes its configuration', () => {
        expect(effective.exit, effective.said).to.equal(0)
        expect(effective.said).to.include('usable: 0 errors')
        const isPlain = effective.config.extAuthz.tls === undefined
        const open = effective.said.includes('can be reached from outside without a client certificate')
        expect(open, effective.said).to.equal(isPlain)
        if (!isPlain)
          expect(effective.config.extAuthz.tls?.clientCaFile, 'clients must show a certificate').to.be.a('string')
      })

      it('runs restricted, in every container', () => expectRestricted(workload.pod))
      it('probes, ports, drain and secrets fit what the product does', () => expectPodAgrees(workload, effective))
      it('selectors, ports and names meet', () => expectSelected(manifests, workload))
    })
  }

  describe('the configuration', () => {
    const effectOf = (values: string): Effective => {
      const manifests = readManifests(rendered.get(values) ?? '')
      return effectiveConfig(manifests, workloadOf(manifests))
    }

    it('keys become TOML that means the same', () => {
      const { config, remove } = effectOf('ci/own-token-values.yaml')
      remove()
      expect(config.caching).to.include({ tokenCacheCapacity: 100_000, tokenCacheExpiryMs: 300_000 })
      expect(config.keyManager).to.include({ timestampSkewMs: 10_000, timeoutMs: 900 })
      expect(config.keyManager.tls.caFile).to.match(/\/etc\/key-manager-ca\/ca\.pem$/)
      expect(config.policy.rules.map(({ name }) => name)).to.deep.equal(['health', 'orders', 'the "rest"'])
      expect(config.upstreamHeaders).to.deep.include({ header: 'x-auth-tenant', claim: 'tenant' })
      expect(config.upstreamHeaders.map(({ header }) => header)).not.to.include('x-auth-username')
      expect(config.keyManager.security.kind).to.equal('own_token')
    })

    it("a text of WSO2's stays as it is, and the chart's listeners and drain win over it", () => {
      const [map] = ofKind(readManifests(rendered.get('ci/mesh-values.yaml') ?? ''), 'ConfigMap')
      const values = load(readFileSync(join(ROOT, CHART, 'ci/mesh-values.yaml'), 'utf8')) as {
        readonly microGwConf: string
      }
      expect(map?.data?.['micro-gw.conf']?.trim()).to.equal(values.microGwConf.trim())
      const { config, remove } = effectOf('ci/mesh-values.yaml')
      remove()
      expect(config.extAuthz.listen).to.deep.equal([{ kind: 'tcp', host: '0.0.0.0', port: 9191 }])
      expect(config.extAuthz).to.include({ drainDelayMs: 10_000, drainTimeoutMs: 30_000, drainHealth: true })
      expect(config.admin.listen.port).to.equal(9999)
    })

    it('none, or both, is refused with what to do', () => {
      const refused = (...sets: readonly string[]): string =>
        spawnSync(helm, ['template', CHART, '--kube-version', '1.37.0', ...sets], { cwd: ROOT, encoding: 'utf8' })
          .stderr
      expect(refused()).to.include('config.keyManager.introspectUrl')
      expect(refused('--set', 'microGwConf=a', '--set', 'config.log.level=info')).to.include('not both')
      const both = 'monitoring.serviceMonitor.enabled=true,monitoring.podMonitor.enabled=true'
      expect(refused('--set', 'microGwConf=a', '--set', both)).to.include('counted twice')
    })
  })

  describe('values.schema.json', () => {
    it("describes the product's own keys: node test/deploy/helm-values-schema.ts --write", () => {
      expect(readValuesSchema().properties.config).to.deep.equal(JSON.parse(JSON.stringify(configSchema())))
    })

    it('knows every value of values.yaml, at every depth', () => {
      const unknown = (values: object, schema: object, path: string): readonly string[] =>
        Object.entries(values).flatMap(([name, value]) => {
          const below = Object(Object(schema).properties)[name]
          if (below === undefined) return 'properties' in schema ? [`${path}${name}`] : []
          return typeof value === 'object' && value !== null && !Array.isArray(value)
            ? unknown(value, Object(below), `${path}${name}.`)
            : []
        })
      const values = load(readFileSync(join(ROOT, CHART, 'values.yaml'), 'utf8'))
      expect(unknown(Object(values), readValuesSchema(), '')).to.deep.equal([])
    })

    const refusals: readonly (readonly [string, string, string])[] = [
      ['a misspelt value', 'extAuthz.tls.enable=true', 'enable'],
      ['a misspelt table', 'autoscalling.enabled=true', 'autoscalling'],
      ['a misspelt key of micro-gw.conf', 'config.keyManager.introspectURL=https://as.example.com', 'introspectURL'],
      ['a secret in clear', 'config.keyManager.security.basic.password=hunter2', 'password'],
      ['a key that the chart sets itself', 'config.extAuthz.listen=0.0.0.0:1', 'listen'],
      ['a duration without unit', 'config.keyManager.timeout=5', 'timeout'],
      ['a privileged port', 'admin.port=80', 'port'],
      ['a scrape interval that blinds the alerts', 'monitoring.interval=60s', 'interval'],
      ['a scrape interval shorter than a scrape may take', 'monitoring.interval=4s', 'interval'],
      ['a digest that is none', 'image.digest=latest', 'digest'],
    ]
    for (const [what, set, named] of refusals) {
      it(`refuses ${what}`, () => {
        const { code, said } = lint('ci/mutual-tls-values.yaml', set)
        expect(code).to.equal(1)
        expect(said).to.include(named)
      })
    }

    it('refuses a mount by subPath, which would never be updated', () => {
      const { code, said } = lint(
        'ci/mutual-tls-values.yaml',
        'extraVolumeMounts[0].name=a,extraVolumeMounts[0].mountPath=/a,extraVolumeMounts[0].subPath=b',
      )
      expect(code).to.equal(1)
      expect(said).to.include('subPath')
    })
  })

  it('the alerts of the chart are those of deploy/prometheus', () => {
    const rules = readFileSync(join(ROOT, 'deploy/prometheus/rules/micro-gw-authz.yml'), 'utf8')
    const copy = readFileSync(join(ROOT, CHART, 'files/rules.yml'), 'utf8')
    expect(copy, 'cp deploy/prometheus/rules/micro-gw-authz.yml deploy/helm/micro-gw-authz/files/rules.yml').to.equal(
      rules,
    )
    const [rule] = ofKind(readManifests(rendered.get('ci/monitoring-values.yaml') ?? ''), 'PrometheusRule')
    expect(rule?.spec).to.deep.equal(load(rules))
  })

  it('monitors name the job that the rules look for, and carry the labels asked for', () => {
    for (const [values, kind] of [
      ['ci/monitoring-values.yaml', 'ServiceMonitor'],
      ['ci/autoscaling-values.yaml', 'PodMonitor'],
    ] as const) {
      const [monitor] = ofKind(readManifests(rendered.get(values) ?? ''), kind)
      const [endpoint] = monitor?.spec.endpoints ?? monitor?.spec.podMetricsEndpoints ?? []
      expect(endpoint).to.deep.include({
        relabelings: [{ action: 'replace', targetLabel: 'job', replacement: 'micro-gw-authz' }],
      })
    }
    const [monitor] = ofKind(readManifests(rendered.get('ci/monitoring-values.yaml') ?? ''), 'ServiceMonitor')
    expect(monitor?.metadata.labels?.['release']).to.equal('kube-prometheus-stack')
  })

  it('every template is printed by some case', () => {
    const printed = [...rendered.values()].join('\n')
    const silent = TEMPLATES.filter(
      (path) => path.endsWith('.yaml') && !printed.includes(`${CHART.split('/')[2]}/${path}`),
    )
    expect(silent).to.deep.equal([])
    expect(TEMPLATES.filter((path) => !path.endsWith('.yaml'))).to.deep.equal([
      'templates/NOTES.txt',
      'templates/_checks.tpl',
      'templates/_helpers.tpl',
      'templates/_toml.tpl',
    ])
  })

  it('the chart has the version of the product', () => {
    const chart = load(readFileSync(join(ROOT, CHART, 'Chart.yaml'), 'utf8'))
    const product: { readonly version: string } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    expect(chart).to.include({ name: 'micro-gw-authz', appVersion: product.version })
    expect(readFileSync(join(ROOT, CHART, '.helmignore'), 'utf8')).not.to.include('ci')
  })
})
