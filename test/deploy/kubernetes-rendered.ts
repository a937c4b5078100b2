/** What kustomize and helm print: read, checked against Kubernetes' schemas, against itself, and against the product. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { load, loadAll } from 'js-yaml'
import type { Context } from 'mocha'
import type { Config } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { makeCertificates } from '../support/certificates.ts'
import { needTool } from '../support/tool.ts'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** The oldest with native sidecars, and the newest whose schemas are installed. */
const KUBERNETES = ['1.29.0', '1.37.0']
const SCHEMAS = 'lib/python3*/site-packages/kubernetes_validate/kubernetes-json-schema'
const OURS = /(?:^|\/)micro-gw-authz[:@]/

type Labels = Readonly<Record<string, string>>

interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: number | string }
  readonly grpc?: { readonly port: number; readonly service?: string }
}
interface SecurityContext {
  readonly runAsNonRoot?: boolean
  readonly runAsUser?: number
  readonly privileged?: boolean
  readonly allowPrivilegeEscalation?: boolean
  readonly readOnlyRootFilesystem?: boolean
  readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] }
  readonly seccompProfile?: { readonly type: string }
}
export interface Container {
  readonly name: string
  readonly image: string
  readonly restartPolicy?: string
  readonly env?: readonly { readonly name: string; readonly value?: string }[]
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number; readonly hostPort?: number }[]
  readonly startupProbe?: Probe
  readonly livenessProbe?: Probe
  readonly readinessProbe?: Probe
  readonly securityContext?: SecurityContext
  readonly resources?: { readonly requests?: Labels; readonly limits?: Labels }
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly subPath?: string }[]
}
interface Volume {
  readonly name: string
  readonly configMap?: { readonly name: string }
  readonly secret?: { readonly secretName: string; readonly defaultMode?: number }
  readonly emptyDir?: unknown
  readonly hostPath?: unknown
}
export interface PodSpec {
  readonly initContainers?: readonly Container[]
  readonly containers: readonly Container[]
  readonly volumes?: readonly Volume[]
  readonly securityContext?: SecurityContext & { readonly fsGroup?: number }
  readonly terminationGracePeriodSeconds?: number
  readonly serviceAccountName?: string
  readonly automountServiceAccountToken?: boolean
  readonly hostNetwork?: boolean
  readonly hostPID?: boolean
  readonly hostIPC?: boolean
  readonly topologySpreadConstraints?: readonly { readonly labelSelector: { readonly matchLabels: Labels } }[]
}
interface Selector {
  readonly matchLabels: Labels
}
interface Policy {
  readonly ports?: readonly { readonly port: number | string }[]
}
/** Total enough for our own objects: kubeconform has seen them before anything here reads them. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: Labels }
  readonly data?: Readonly<Record<string, string>>
  readonly automountServiceAccountToken?: boolean
  readonly spec: {
    readonly replicas?: number
    readonly selector: Selector & Labels
    readonly podSelector: Selector
    readonly template: {
      readonly metadata: { readonly labels: Labels; readonly annotations?: Labels }
      readonly spec: PodSpec
    }
    readonly ports: readonly { readonly name: string; readonly port: number; readonly targetPort: number | string }[]
    readonly clusterIP?: string
    readonly scaleTargetRef: { readonly kind: string; readonly name: string }
    readonly minReplicas: number
    readonly maxReplicas: number
    readonly maxUnavailable?: number | string
    readonly ingress: readonly (Policy & { readonly from?: readonly unknown[] })[]
    readonly egress: readonly Policy[]
    readonly endpoints: readonly { readonly port: string; readonly path: string }[]
    readonly podMetricsEndpoints: readonly { readonly port: string; readonly path: string }[]
    readonly groups: unknown
  }
}

export interface Workload {
  readonly name: string
  readonly labels: Labels
  readonly pod: PodSpec
  /** The product's. */
  readonly container: Container
}

export function readManifests(text: string): readonly Manifest[] {
  return loadAll(text).filter((one): one is Manifest => typeof one === 'object' && one !== null)
}

export function ofKind(manifests: readonly Manifest[], kind: string): readonly Manifest[] {
  return manifests.filter((manifest) => manifest.kind === kind)
}

/** The one workload that runs the product. */
export function workloadOf(manifests: readonly Manifest[]): Workload {
  const found = ofKind(manifests, 'Deployment').flatMap(({ metadata, spec }) => {
    const pod = spec.template.spec
    return [...(pod.initContainers ?? []), ...pod.containers]
      .filter(({ image }) => OURS.test(image))
      .map((container) => ({ name: metadata.name, labels: spec.template.metadata.labels, pod, container }))
  })
  const [first] = found
  if (first === undefined || found.length > 1) throw new Error(`${found.length} containers run the product, not one`)
  return first
}

/** For a `before` hook: the folder of schemas; without it the suite is skipped, under CI=true it fails. */
export function needSchemas(context: Context): {
  readonly kubeconform: string
  readonly folder: string
  remove(): void
} {
  const kubeconform = needTool(context, 'kubeconform')
  const [schemas] = globSync(join('.venv/kubernetes-validate', SCHEMAS), { cwd: ROOT })
  const definitions = join(ROOT, '.tools/prometheus-operator')
  if (schemas === undefined || !existsSync(join(definitions, 'version'))) {
    needTool(context, 'schemas of Kubernetes (.ci/tools/kubernetes.sh)')
    throw new Error('unreachable')
  }
  const folder = mkdtempSync(join(tmpdir(), 'kubernetes-schemas-'))
  for (const file of globSync('*.yaml', { cwd: definitions })) writeCustomSchema(join(definitions, file), folder)
  for (const version of KUBERNETES) writeSchemas(join(ROOT, schemas, `v${version}-local-strict`), join(folder, version))
  return { kubeconform, folder, remove: () => rmSync(folder, { recursive: true }) }
}

/** kubeconform over everything, strictly, for the oldest and the newest Kubernetes; throws what it says. */
export function conform(
  schemas: { readonly kubeconform: string; readonly folder: string },
  text: string,
  versions: readonly string[] = KUBERNETES,
): number {
  const counts = versions.map((version) => {
    const locations = [
      `${schemas.folder}/${version}/{{ .ResourceKind }}{{ .KindSuffix }}.json`,
      `${schemas.folder}/{{ .ResourceKind }}-{{ .Group }}-{{ .ResourceAPIVersion }}.json`,
    ]
    const args = ['-strict', '-summary', '-output', 'json', '-kubernetes-version', version]
    const ran = spawnSync(
      schemas.kubeconform,
      [...args, ...locations.flatMap((one) => ['-schema-location', one]), '-'],
      {
        input: text,
        encoding: 'utf8',
      },
    )
    const said: {
      readonly resources: readonly unknown[] | null
      readonly summary: {
        readonly valid: number
        readonly invalid: number
        readonly errors: number
        readonly skipped: number
      }
    } = JSON.parse(ran.stdout)
    if (ran.status !== 0 || said.summary.skipped > 0) {
      throw new Error(`Kubernetes ${version}: ${JSON.stringify(said.resources, undefined, 1)}`)
    }
    return said.summary.valid
  })
  return Math.min(...counts)
}

/** The schemas name each other by an address of the web; here they lie beside each other. */
function writeSchemas(from: string, to: string): void {
  mkdirSync(to)
  const kinds = ['_definitions', 'configmap-v1', 'service-v1', 'serviceaccount-v1', 'deployment-apps-v1']
  const more = [
    'networkpolicy-networking-v1',
    'poddisruptionbudget-policy-v1',
    'horizontalpodautoscaler-autoscaling-v2',
  ]
  for (const kind of [...kinds, ...more]) {
    const { $id: _, ...schema } = JSON.parse(readFileSync(join(from, `${kind}.json`), 'utf8'))
    const text = JSON.stringify(schema).replaceAll('"/api/_definitions.json#', '"_definitions.json#')
    writeFileSync(join(to, `${kind}.json`), text)
  }
}

/** A CRD holds the schema of its objects; strict as Kubernetes' own are here: what has properties has no others. */
function writeCustomSchema(file: string, folder: string): void {
  const definition = load(readFileSync(file, 'utf8')) as {
    readonly spec: {
      readonly group: string
      readonly names: { readonly kind: string }
      readonly versions: readonly { readonly name: string; readonly schema: { readonly openAPIV3Schema: unknown } }[]
    }
  }
  const { group, names, versions } = definition.spec
  for (const { name, schema } of versions) {
    const path = join(folder, `${names.kind.toLowerCase()}-${group}-${name}.json`)
    writeFileSync(path, JSON.stringify(strict(schema.openAPIV3Schema, true)))
  }
}

function strict(node: unknown, isTop = false): unknown {
  if (Array.isArray(node)) return node.map((item) => strict(item))
  if (typeof node !== 'object' || node === null) return node
  const copy: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(node)) copy[key] = strict(value)
  const isFree = isTop || copy['x-kubernetes-preserve-unknown-fields'] === true || 'additionalProperties' in copy
  // `metadata` is said to be an object and nothing more.
  if (!isFree && typeof copy['properties'] === 'object' && copy['type'] === 'object')
    copy['additionalProperties'] = false
  if (copy['x-kubernetes-int-or-string'] === true) copy['type'] = ['integer', 'string']
  return copy
}

/** What the product makes of a rendered container: its micro-gw.conf, its environment, and stand-ins for every secret. */
export interface Effective {
  readonly config: Config
  /** As the container has it, its paths those of the folder. */
  readonly env: Record<string, string>
  readonly folder: string
  readonly conf: string
  /** Of `check-config`, run as the image would. */
  readonly said: string
  readonly exit: number | null
  remove(): void
}

/** A certificate and its key: `check-config` refuses any other pair. */
function standIns(): { readonly certificate: string; readonly key: string } {
  const certificates = makeCertificates()
  certificates.remove()
  return { certificate: certificates.server.cert, key: certificates.server.key }
}
const PEM = standIns()

/** Lays the mounted files out in a folder and runs the real `check-config` on them. */
export function effectiveConfig(manifests: readonly Manifest[], { pod, container }: Workload): Effective {
  const folder = mkdtempSync(join(tmpdir(), 'rendered-'))
  const mounts = [...(container.volumeMounts ?? [])].sort((a, b) => b.mountPath.length - a.mountPath.length)
  const relocate = (text: string): string =>
    text.replace(/\/[\w./-]+/g, (path) =>
      mounts.some(({ mountPath }) => path.startsWith(`${mountPath}/`)) ? join(folder, path) : path,
    )
  const env = Object.fromEntries((container.env ?? []).map(({ name, value = '' }) => [name, relocate(value)]))
  for (const mount of mounts) {
    mkdirSync(join(folder, mount.mountPath), { recursive: true })
    const volume = (pod.volumes ?? []).find(({ name }) => name === mount.name)
    const map = ofKind(manifests, 'ConfigMap').find(({ metadata }) => metadata.name === volume?.configMap?.name)
    for (const [name, text] of Object.entries(map?.data ?? {})) {
      writeFileSync(join(folder, mount.mountPath, name), relocate(text))
    }
  }
  const conf = join(folder, '/etc/micro-gw-authz/micro-gw.conf')
  // Files that are named and lie in a volume from elsewhere (Secrets, ConfigMaps of others): what is named outside of a
  // mounted volume stays missing, and check-config says so.
  const texts = [readFileSync(conf, 'utf8'), ...Object.values(env)]
  for (const [path] of texts.flatMap((text) => [...text.matchAll(/\/[\w./-]+/g)])) {
    const name = path ?? ''
    if (!name.startsWith(`${folder}/`) || existsSync(name) || name.endsWith('.sock')) continue
    mkdirSync(dirname(name), { recursive: true })
    writeFileSync(name, standInFor(name))
  }
  const ran = spawnSync(process.execPath, [join(ROOT, 'src/cli.ts'), 'check-config', '--config', conf], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', ...env },
  })
  const loaded = loadConfig({ file: conf, env })
  const remove = (): void => rmSync(folder, { recursive: true })
  if (!loaded.ok) {
    remove()
    throw new Error(`check-config refuses it:\n${ran.stdout}`)
  }
  return { config: loaded.config, env, folder, conf, said: ran.stdout, exit: ran.status, remove }
}

function standInFor(name: string): string {
  if (name.endsWith('.key')) return PEM.key
  return /\.(?:crt|pem)$/.test(name) ? PEM.certificate : 'a-secret\n'
}

const isSubset = (part: Labels, whole: Labels): boolean =>
  Object.entries(part).length > 0 && Object.entries(part).every(([name, value]) => whole[name] === value)

/** Kubernetes' restricted profile, field by field, and what we ask beyond it. Every container of the pod. */
export function expectRestricted(pod: PodSpec): void {
  expect(pod.hostNetwork ?? false, 'hostNetwork').to.equal(false)
  expect(pod.hostPID ?? false, 'hostPID').to.equal(false)
  expect(pod.hostIPC ?? false, 'hostIPC').to.equal(false)
  for (const volume of pod.volumes ?? []) {
    expect(Object.keys(volume).filter((key) => key !== 'name')[0]).to.be.oneOf(['configMap', 'secret', 'emptyDir'])
  }
  for (const container of [...(pod.initContainers ?? []), ...pod.containers]) {
    const own = container.securityContext ?? {}
    const of = (key: 'runAsNonRoot' | 'runAsUser' | 'seccompProfile'): unknown => own[key] ?? pod.securityContext?.[key]
    const name = (field: string): string => `${container.name}: ${field}`
    expect(of('runAsNonRoot'), name('runAsNonRoot')).to.equal(true)
    expect(of('runAsUser'), name('runAsUser')).to.be.a('number').above(0)
    expect(of('seccompProfile'), name('seccompProfile')).to.deep.equal({ type: 'RuntimeDefault' })
    expect(own.privileged ?? false, name('privileged')).to.equal(false)
    expect(own.allowPrivilegeEscalation, name('allowPrivilegeEscalation')).to.equal(false)
    expect(own.capabilities, name('capabilities')).to.deep.equal({ drop: ['ALL'] })
    expect(own.readOnlyRootFilesystem, name('readOnlyRootFilesystem')).to.equal(true)
    expect(container.ports?.some(({ hostPort }) => hostPort !== undefined) ?? false, name('hostPort')).to.equal(false)
    expect(container.resources?.requests, name('requests')).to.include.keys('cpu', 'memory')
    expect(container.resources?.limits, name('limits')).to.include.keys('memory')
    for (const mount of container.volumeMounts ?? []) expect(mount, name('subPath')).not.to.have.property('subPath')
  }
}

/** Probes, ports, drain and files of the pod agree with what the product will do. */
export function expectPodAgrees({ pod, container }: Workload, { config }: Effective): void {
  const portOf = (port: number | string | undefined): number | undefined =>
    typeof port === 'number' ? port : container.ports?.find(({ name }) => name === port)?.containerPort
  expect(container.name).to.equal('micro-gw-authz')
  for (const [name, path] of [
    ['startupProbe', '/readyz'],
    ['livenessProbe', '/livez'],
    ['readinessProbe', '/readyz'],
  ] as const) {
    const probe = container[name]
    if (probe?.grpc !== undefined) {
      // kubelet dials the pod's address and speaks no TLS.
      expect(name).to.equal('readinessProbe')
      expect(config.extAuthz.tls, 'a gRPC probe of a TLS port').to.equal(undefined)
      expect(config.extAuthz.listen).to.deep.include({ kind: 'tcp', host: '0.0.0.0', port: probe.grpc.port })
      continue
    }
    expect(probe?.httpGet?.path, name).to.equal(path)
    expect(portOf(probe?.httpGet?.port), name).to.equal(config.admin.listen.port)
  }
  expect(config.admin.listen.host, 'kubelet and Prometheus come from outside the pod').to.equal('0.0.0.0')
  const remote = config.extAuthz.listen.flatMap((listen) =>
    listen.kind === 'tcp' && listen.host === '0.0.0.0' ? [listen.port] : [],
  )
  expect(container.ports?.map(({ containerPort }) => containerPort).sort()).to.deep.equal(
    [...remote, config.admin.listen.port].sort(),
  )
  const drainSeconds = (config.extAuthz.drainDelayMs + config.extAuthz.drainTimeoutMs) / 1000
  expect(pod.terminationGracePeriodSeconds, 'drainDelay + drainTimeout and a margin').to.be.at.least(drainSeconds + 5)
  const user = container.securityContext?.runAsUser ?? pod.securityContext?.runAsUser
  expect(user).to.equal(65_532)
  // Secrets' files belong to root: readable by an fsGroup, or by everybody in the container.
  for (const { secret } of pod.volumes ?? []) {
    if (secret !== undefined)
      expect(secret.defaultMode).to.equal(pod.securityContext?.fsGroup === 65_532 ? 0o440 : 0o444)
  }
}

/** Whatever selects pods selects this one, and names ports it has. */
export function expectSelected(manifests: readonly Manifest[], { name, labels, pod, container }: Workload): void {
  const ports = new Set(container.ports?.map((port) => port.name))
  const [deployment] = ofKind(manifests, 'Deployment').filter(({ metadata }) => metadata.name === name)
  expect(isSubset(deployment?.spec.selector.matchLabels ?? {}, labels), 'Deployment').to.equal(true)
  for (const { labelSelector } of pod.topologySpreadConstraints ?? []) {
    expect(isSubset(labelSelector.matchLabels, labels), 'topologySpreadConstraints').to.equal(true)
  }
  const services = ofKind(manifests, 'Service')
  for (const { metadata, spec } of services) {
    expect(isSubset(spec.selector, labels), `Service ${metadata.name}`).to.equal(true)
    for (const port of spec.ports) {
      expect(ports.has(String(port.targetPort)), `Service ${metadata.name}: ${port.name}`).to.equal(true)
      expect(port.port).to.equal(container.ports?.find((one) => one.name === port.targetPort)?.containerPort)
    }
  }
  for (const kind of ['PodDisruptionBudget', 'PodMonitor']) {
    for (const { spec } of ofKind(manifests, kind))
      expect(isSubset(spec.selector.matchLabels, labels), kind).to.equal(true)
  }
  for (const { spec } of ofKind(manifests, 'PodMonitor')) {
    expect(spec.podMetricsEndpoints.map(({ port, path }) => [ports.has(port), path])).to.deep.equal([
      [true, '/metrics'],
    ])
  }
  for (const { spec } of ofKind(manifests, 'ServiceMonitor')) {
    const scraped = services.filter((service) => isSubset(spec.selector.matchLabels, service.metadata.labels ?? {}))
    const named = scraped.filter((service) => service.spec.ports.some((port) => port.name === spec.endpoints[0]?.port))
    expect(named, 'a pod must not be scraped twice').to.have.length(1)
    expect(spec.endpoints.map(({ path }) => path)).to.deep.equal(['/metrics'])
  }
  for (const { spec } of ofKind(manifests, 'HorizontalPodAutoscaler')) {
    expect(spec.scaleTargetRef).to.deep.equal({ apiVersion: 'apps/v1', kind: 'Deployment', name })
    expect(spec.minReplicas).to.be.at.least(2).and.at.most(spec.maxReplicas)
    expect(deployment?.spec.replicas, 'the autoscaler owns the number').to.equal(undefined)
    expect(container.resources?.requests?.['cpu'], 'a utilisation is of the request').to.be.a('string')
  }
  for (const { spec } of ofKind(manifests, 'NetworkPolicy')) {
    expect(isSubset(spec.podSelector.matchLabels, labels), 'NetworkPolicy').to.equal(true)
    const open = spec.ingress.map((rule) => rule.ports?.map(({ port }) => port))
    expect(open, 'one rule for each port').to.deep.equal([['grpc'], ['metrics']])
    for (const rule of spec.ingress) expect(rule.from, 'nobody is everybody').to.be.an('array').with.length.above(0)
  }
  for (const account of ofKind(manifests, 'ServiceAccount')) {
    expect(account.automountServiceAccountToken).to.equal(false)
    expect(pod.serviceAccountName).to.equal(account.metadata.name)
  }
  expect(pod.automountServiceAccountToken).to.equal(false)
}

export function run(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Relative links of a document that lead nowhere; anchors included. */
export function brokenLinks(document: string): readonly string[] {
  const prose = readFileSync(document, 'utf8').replace(/^```[\s\S]*?^```/gm, '')
  return [...prose.matchAll(/\]\(([^)\s:]+)\)/g)].flatMap(([, target = '']) => {
    const [path = '', anchor] = target.split('#')
    const file = join(dirname(document), path)
    if (!existsSync(file)) return [target]
    return anchor === undefined || anchorsOf(readFileSync(file, 'utf8')).includes(anchor) ? [] : [target]
  })
}

/** GitHub's. */
export function anchorsOf(markdown: string): readonly string[] {
  return [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\-_ ]/gu, '')
      .replaceAll(' ', '-'),
  )
}
