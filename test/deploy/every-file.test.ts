/** Nothing in deploy/ stands untested: every file is opened by a test, and every folder has a line in deploy/README.md. */
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, matchesGlob } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { describe, it } from 'mocha'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

interface Cover {
  readonly files: string
  /** The test that opens them; its name stands in the suites of scripts/test.ts. */
  readonly test: string
  /** Where the files are listed, if not in the test itself. */
  readonly source?: string
  /** How the test takes all of them, word for word; absent: each file is there by its name. */
  readonly takes?: string
}

const COVERED: readonly Cover[] = [
  { files: 'docker-compose.yml', test: 'test/deploy/compose.test.ts' },
  { files: 'deploy/docker/Dockerfile', test: 'test/deploy/image.test.ts' },
  // What docker-compose.yml mounts is mounted into the programs that the test runs.
  {
    files: 'deploy/docker/{echo.mjs,micro-gw.conf}',
    test: 'test/deploy/compose.test.ts',
    source: 'docker-compose.yml',
  },
  { files: 'deploy/docker/secrets/*', test: 'test/deploy/compose.test.ts', source: 'docker-compose.yml' },
  { files: 'deploy/keycloak/realm.json', test: 'test/deploy/compose.test.ts' },
  { files: 'deploy/envoy/compose.yaml', test: 'test/deploy/compose.test.ts', source: 'docker-compose.yml' },
  {
    files: 'deploy/envoy/!(compose).{yaml,conf}',
    test: 'test/envoy/deploy-files.test.ts',
    source: 'test/envoy/deployed.ts',
  },
  { files: 'deploy/prometheus/prometheus.yml', test: 'test/deploy/prometheus.test.ts' },
  { files: 'deploy/prometheus/rules/*.yml', test: 'test/deploy/prometheus.test.ts' },
  { files: 'deploy/prometheus/tests/*.yml', test: 'test/deploy/prometheus.test.ts', takes: "globSync('tests/*.yml'" },
  { files: 'deploy/grafana/provisioning/*/*.yml', test: 'test/deploy/compose.test.ts' },
  { files: 'deploy/grafana/dashboards/*.json', test: 'test/deploy/grafana.test.ts' },
  { files: 'deploy/istio/*.yaml', test: 'test/deploy/istio.test.ts' },
  { files: 'deploy/envoy-gateway/*.yaml', test: 'test/deploy/envoy-gateway.test.ts' },
  { files: 'deploy/contour/*.yaml', test: 'test/deploy/contour.test.ts' },
  { files: 'deploy/kgateway/*.yaml', test: 'test/deploy/kgateway.test.ts' },
  // Each overlay through kustomize; the test sees to it that every file is named by a kustomization.
  {
    files: 'deploy/kubernetes/**/*.{yaml,conf}',
    test: 'test/deploy/kubernetes.test.ts',
    takes: "globSync('**/kustomization.yaml'",
  },
  // helm reads the chart as a whole; the test sees to it that every template is printed.
  {
    files: 'deploy/helm/micro-gw-authz/templates/*',
    test: 'test/deploy/helm.test.ts',
    takes: "globSync('templates/*.{yaml,txt,tpl}'",
  },
  {
    files: 'deploy/helm/micro-gw-authz/ci/*-values.yaml',
    test: 'test/deploy/helm.test.ts',
    takes: "globSync('ci/*-values.yaml'",
  },
  { files: 'deploy/helm/micro-gw-authz/{Chart.yaml,values.yaml}', test: 'test/deploy/helm.test.ts' },
  { files: 'deploy/helm/micro-gw-authz/files/rules.yml', test: 'test/deploy/helm.test.ts' },
  {
    files: 'deploy/helm/micro-gw-authz/values.schema.json',
    test: 'test/deploy/helm.test.ts',
    source: 'test/deploy/helm-values-schema.ts',
  },
  { files: 'deploy/helm/micro-gw-authz/.helmignore', test: 'test/deploy/helm.test.ts', takes: 'const CHART =' },
  { files: 'deploy/opentelemetry/otel.mjs', test: 'test/integration/tracing-sdk.test.ts' },
  { files: 'deploy/**/README.md', test: 'test/deploy/every-file.test.ts', takes: "globSync('deploy/**/README.md'" },
]

const FILES = ['docker-compose.yml', ...globSync('deploy/**/{*,.*}', { cwd: ROOT })]
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => statSync(join(ROOT, path)).isFile())
  .sort()

const coversOf = (file: string): readonly Cover[] => COVERED.filter(({ files }) => matchesGlob(file, files))

/** Why a cover does not hold for a file. */
function gap(file: string, { test, source, takes }: Cover): string | undefined {
  if (!existsSync(join(ROOT, test))) return `${file}: ${test} is not there`
  const text = read(source ?? test)
  const words = takes ?? basename(file)
  if (!text.includes(words)) return `${file}: ${source ?? test} does not hold ${words}`
  return undefined
}

describe('deploy/', () => {
  it('every file, and docker-compose.yml, is opened by a test', () => {
    expect(FILES.length).to.be.above(50)
    expect(
      FILES.filter((file) => coversOf(file).length === 0),
      'a test must open these',
    ).to.deep.equal([])
    const gaps = FILES.flatMap((file) => coversOf(file).map((cover) => gap(file, cover)))
    expect(gaps.filter((found) => found !== undefined)).to.deep.equal([])
  })

  it('every cover is needed', () => {
    const idle = COVERED.filter(({ files }) => !FILES.some((file) => matchesGlob(file, files)))
    expect(idle.map(({ files }) => files)).to.deep.equal([])
  })

  it('README.md has a line for every folder, and its links lead somewhere, as those of every README below', () => {
    const folders = globSync('deploy/*/', { cwd: ROOT }).map((path) => basename(path))
    const listed = [...read('deploy/README.md').matchAll(/^\| \[`?([\w-]+)\/`?\]\(([^)]+)\) \|/gm)].map((row) => row[1])
    expect(listed.sort()).to.deep.equal(folders.sort())
    const readmes = globSync('deploy/**/README.md', { cwd: ROOT })
    const broken = readmes.flatMap((readme) =>
      [...read(readme).matchAll(/\]\(([^)\s#:]+)(?:#[^)]*)?\)/g)]
        .map((link) => join(dirname(readme), link[1] ?? ''))
        .filter((target) => !existsSync(join(ROOT, target)))
        .map((target) => `${readme}: ${target}`),
    )
    expect(broken).to.deep.equal([])
  })
})
