/** deploy/istio/: taken by istioctl and Istio's definitions; the EnvoyFilter in force in a real Envoy with the real sidecar. */
import { spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { dump, load } from 'js-yaml'
import { after, before, describe, it } from 'mocha'
import { ENVOY_VERSION } from '../../scripts/envoy.ts'
import { envoyOrSkip, send, valuesOf } from '../envoy/traffic.ts'
import { every } from '../support/config-dump.ts'
import { at, type CrdCheck, isObject, type JsonObject, listAt, needCrds, readResources } from '../support/crds.ts'
import { example, readExamples, unexplained } from '../support/example-folder.ts'
import { confProblems, type GatewayPlaces, post, type RunningGateway, startGateway } from '../support/gateway.ts'
import { inSeconds } from '../support/pair.ts'
import { neighbours, spellings } from '../support/spellings.ts'
import { needTool } from '../support/tool.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const files = readExamples('istio')
const RESOURCES = ['key-manager.yaml', 'loopback.yaml', 'service.yaml', 'socket.yaml'] as const
/** The only thing istioctl may say, of an EnvoyFilter: that it is one. */
const IS_AN_ENVOY_FILTER = /EnvoyFilter exposes internal implementation details/

const resource = (file: string, kind: string, name?: string): JsonObject => {
  const found = readResources(example(files, file)).find(
    (candidate) => candidate['kind'] === kind && (name === undefined || at(candidate, 'metadata', 'name') === name),
  )
  if (found === undefined) throw new Error(`${file} has no ${kind}`)
  return found
}
const confOf = (file: string): string => String(at(resource(file, 'ConfigMap'), 'data', 'micro-gw.conf'))

describe('deploy/istio/', function () {
  this.timeout(60_000)

  it('holds the files tested here, and no others', () => {
    expect(Object.keys(files)).to.deep.equal([
      'README.md',
      'key-manager.yaml',
      'loopback.yaml',
      'mesh-values.yaml',
      ...RESOURCES.slice(2),
    ])
    expect(unexplained('istio', files)).to.deep.equal([])
  })

  for (const file of ['loopback.yaml', 'socket.yaml']) {
    it(`${file}: its micro-gw.conf is taken by check-config without a word`, async () => {
      const dir = mkdtempSync(join(tmpdir(), 'micro-gw-istio-'))
      writeFileSync(join(dir, 'client-secret'), 'gateway-secret\n')
      const paths = { '/run/secrets/micro-gw-authz/client-secret': join(dir, 'client-secret') }
      const socket: Record<string, string> = file === 'socket.yaml' ? { '/run/micro-gw-authz': dir } : {}
      expect(await confProblems(confOf(file), { ...paths, ...socket })).to.deep.equal([])
      rmSync(dir, { recursive: true })
    })

    it(`${file}: the sidecar starts after istio-proxy and before the workload, and reads what the pod mounts`, () => {
      const pod = at(resource(file, 'Deployment'), 'spec', 'template', 'spec')
      const sidecar = at(pod, 'initContainers', 0)
      expect(sidecar).to.deep.include({ name: 'micro-gw-authz', restartPolicy: 'Always' })
      expect(at(sidecar, 'startupProbe', 'httpGet')).to.deep.equal({ path: '/readyz', port: 9797 })
      const mounted = listAt(sidecar, 'volumeMounts')
      const paths = mounted.map((mount) => String(at(mount, 'mountPath')))
      const volumes = listAt(pod, 'volumes').map((volume) => at(volume, 'name'))
      expect(volumes).to.include.members(mounted.map((mount) => at(mount, 'name')))
      const needed = [...confOf(file).matchAll(/(?:@file:\{|unix:)(\/[\w./-]+)/g)].map((match) => match[1] ?? '')
      expect(needed).to.have.length(file === 'socket.yaml' ? 2 : 1)
      expect(needed.filter((path) => !paths.some((mount) => path.startsWith(`${mount}/`)))).to.deep.equal([])
      const [, , config] = listAt(sidecar, 'args')
      expect(paths).to.include(String(config).replace(/\/micro-gw\.conf$/, ''))
    })
  }

  it('socket.yaml: istio-proxy sees the folder of the socket, and its group may connect', () => {
    const template = at(resource('socket.yaml', 'Deployment'), 'spec', 'template')
    const annotation = at(template, 'metadata', 'annotations', 'sidecar.istio.io/userVolumeMount')
    expect(JSON.parse(String(annotation))).to.deep.equal({
      'micro-gw-authz-socket': { mountPath: '/run/micro-gw-authz' },
    })
    const group = at(template, 'spec', 'securityContext', 'fsGroup')
    expect(group).to.equal(at(template, 'spec', 'initContainers', 0, 'securityContext', 'runAsGroup'))
    expect(
      at(patchValue('CLUSTER'), 'load_assignment', 'endpoints', 0, 'lb_endpoints', 0, 'endpoint', 'address'),
    ).to.deep.equal({
      pipe: { path: '/run/micro-gw-authz/authz.sock' },
    })
  })

  it("socket.yaml: the filter is the one of deploy/envoy, and so is the cluster's room", () => {
    const [plain = {}] = readResources(readFileSync(join(ROOT, 'deploy/envoy/unix-socket.yaml'), 'utf8'))
    const filters = every(plain, (object) =>
      object['name'] === 'envoy.filters.http.ext_authz' && isObject(object['typed_config'])
        ? object['typed_config']
        : undefined,
    )
    const ours = JSON.stringify(at(patchValue('HTTP_FILTER'), 'typed_config')).replace('micro-gw-authz', 'authz')
    expect(JSON.parse(ours)).to.deep.equal(filters[0])
    const clusters = every(plain, (object) =>
      object['name'] === 'authz' && 'circuit_breakers' in object ? object : undefined,
    )
    expect(at(patchValue('CLUSTER'), 'circuit_breakers')).to.deep.equal(at(clusters[0], 'circuit_breakers'))
  })

  it('loopback.yaml: the ServiceEntry is what the provider names, and the sidecar listens there', () => {
    const entry = resource('loopback.yaml', 'ServiceEntry')
    const named = provider('micro-gw-authz-loopback')
    expect(named['service']).to.equal(`${at(entry, 'metadata', 'namespace')}/${at(entry, 'spec', 'hosts', 0)}`)
    expect(named['port']).to.equal(at(entry, 'spec', 'ports', 0, 'number'))
    expect(confOf('loopback.yaml')).to.contain(
      `listen = "${at(entry, 'spec', 'endpoints', 0, 'address')}:${named['port']}"`,
    )
  })

  it('every CUSTOM policy names a provider of mesh-values.yaml and has a rule that can match', () => {
    const policies = RESOURCES.flatMap((file) => readResources(example(files, file))).filter(
      (candidate) => candidate['kind'] === 'AuthorizationPolicy' && at(candidate, 'spec', 'action') === 'CUSTOM',
    )
    expect(policies).to.have.length(2)
    for (const policy of policies) {
      expect(provider(String(at(policy, 'spec', 'provider', 'name')))).to.be.an('object')
      expect(at(policy, 'spec', 'rules', 0)).to.be.an('object')
    }
  })

  it('the mesh cleans paths up, so that the workload sees the one that was judged', function () {
    const managers = every(translated(needTool(this, 'istio-translate'), 'loopback.yaml'), (object) =>
      String(object['@type']).endsWith('.HttpConnectionManager') ? object : undefined,
    )
    expect(managers.length).to.be.above(0)
    for (const manager of managers)
      expect(manager).to.include({
        normalizePath: true,
        mergeSlashes: true,
        pathWithEscapedSlashesAction: 'UNESCAPE_AND_FORWARD',
      })
  })

  it('one release of Istio in all three places that name it', () => {
    const named = ['.ci/tools/istio.sh', '.ci/tools/gateway-crds.sh', '.ci/tools/istio-translate/go.mod'].map(
      (file) => /v0\.0\.0-\d{14}-[0-9a-f]{12}/.exec(readFileSync(join(ROOT, file), 'utf8'))?.[0] ?? file,
    )
    expect(new Set(named).size, named.join()).to.equal(1)
  })

  it('every provider says timeout, failOpen and statusOnError, by names that Istio has', function () {
    const proto = globSync('.tools/crds/istio-api-*/config.proto', { cwd: ROOT })[0]
    if (proto === undefined) {
      if (process.env['CI'] === 'true') throw new Error('run .ci/tools/gateway-crds.sh')
      this.skip()
    }
    const message = /message EnvoyExternalAuthorizationGrpcProvider \{([\s\S]*?)^ {4}\}/m.exec(
      readFileSync(join(ROOT, proto), 'utf8'),
    )
    const fields = [...(message?.[1] ?? '').matchAll(/^ {6}[\w.]+ (\w+) = \d+/gm)].map((match) =>
      camelCase(match[1] ?? ''),
    )
    expect(fields).to.include.members(['service', 'failOpen'])
    for (const { settings } of providers()) {
      expect(settings).to.deep.include({ timeout: '1s', failOpen: false, statusOnError: '503' })
      expect(fields).to.include.members(Object.keys(settings))
    }
  })

  describe('istioctl', () => {
    let istioctl: string
    let dir: string

    before(function () {
      istioctl = needTool(this, 'istioctl')
      dir = mkdtempSync(join(tmpdir(), 'micro-gw-istioctl-'))
    })
    after(() => {
      if (dir !== undefined) rmSync(dir, { recursive: true })
    })

    /** Exit code and the findings of `validate` on a text. */
    function validate(text: string): { readonly code: number | null; readonly findings: readonly string[] } {
      const run = spawnSync(istioctl, ['validate', '-f', '-'], { input: text, encoding: 'utf8', timeout: 30_000 })
      const findings = `${run.stdout}${run.stderr}`.split('\n').filter((line) => /^\s*\* /.test(line))
      return { code: run.status, findings: findings.filter((line) => !IS_AN_ENVOY_FILTER.test(line)) }
    }

    /** Exit code and the findings of `analyze`, which looks at the default namespace only unless told otherwise. */
    function analyze(mesh: string, ...texts: readonly string[]): { code: number | null; findings: readonly string[] } {
      writeFileSync(join(dir, 'mesh.yaml'), mesh)
      const paths = texts.map((text, index) => {
        const path = join(dir, `${index}.yaml`)
        writeFileSync(path, text)
        return path
      })
      const all = ['--use-kube=false', '--all-namespaces', '--meshConfigFile', join(dir, 'mesh.yaml')]
      const run = spawnSync(istioctl, ['analyze', ...all, ...paths], { encoding: 'utf8', timeout: 30_000 })
      const findings = `${run.stdout}${run.stderr}`.split('\n').filter((line) => /\[IST\d+\]/.test(line))
      return { code: run.status, findings: findings.filter((line) => !IS_AN_ENVOY_FILTER.test(line)) }
    }

    for (const file of RESOURCES) {
      it(`validate takes ${file}`, () => {
        expect(validate(example(files, file))).to.deep.equal({ code: 0, findings: [] })
      })

      it(`analyze finds nothing in ${file}`, () => {
        const mesh = dump(at(load(example(files, 'mesh-values.yaml')), 'meshConfig'))
        const others = file === 'key-manager.yaml' ? [] : [example(files, 'key-manager.yaml')]
        expect(analyze(mesh, example(files, file), ...others)).to.deep.equal({ code: 0, findings: [] })
      })
    }

    it('validate takes mesh-values.yaml as the spec of an IstioOperator', () => {
      const values = load(example(files, 'mesh-values.yaml'))
      const operator = {
        apiVersion: 'install.istio.io/v1alpha1',
        kind: 'IstioOperator',
        metadata: { name: 'mesh' },
        spec: values,
      }
      expect(validate(dump(operator))).to.deep.equal({ code: 0, findings: [] })
    })

    it('the tools are no rubber stamp: a misspelt field, a patch Envoy does not know, a port that is none, an order left to chance', () => {
      expect(validate(example(files, 'loopback.yaml').replace('notPaths', 'notPahts')).code).to.equal(1)
      expect(
        validate(example(files, 'socket.yaml').replace('status_on_error', 'status_on_eror')).findings,
      ).to.have.length(1)
      const port = analyze('{}', example(files, 'loopback.yaml').replace('number: 9001', 'number: 90011'))
      expect(port.findings.join()).to.contain('IST0106')
      const order = analyze('{}', example(files, 'socket.yaml').replace('priority: 10', ''))
      expect(order.findings.join()).to.contain('IST0151')
    })
  })

  describe("Istio's definitions", () => {
    let definitions: CrdCheck
    before(function () {
      definitions = needCrds(this, ['istio'])
    })
    after(() => definitions?.close())

    for (const file of RESOURCES) {
      it(`know every field of ${file}`, () => {
        expect(definitions.problems(example(files, file))).to.deep.equal([])
      })
    }

    it('refuse a misspelt field, of Istio and of Kubernetes', () => {
      const misspelt = example(files, 'loopback.yaml')
        .replace('exportTo', 'exporTo')
        .replace('restartPolicy', 'restarPolicy')
      expect(definitions.problems(misspelt).map((line) => line.split(':')[0])).to.have.members([
        'ServiceEntry micro-gw-authz',
        'Deployment orders',
      ])
    })
  })

  for (const variant of ['loopback.yaml', 'socket.yaml'] as const) {
    describe(`${variant}, as istiod tells it, in Envoy ${ENVOY_VERSION}`, function () {
      this.timeout(120_000)
      let told: JsonObject
      let running: RunningGateway

      before(async function () {
        told = translated(needTool(this, 'istio-translate'), variant)
        running = await startGateway({
          binary: envoyOrSkip(ENVOY_VERSION, this),
          conf: confOf(variant),
          confAddresses: ({ dir, keyManagerPort, sidecarPort }) => {
            writeFileSync(join(dir, 'client-secret'), 'gateway-secret\n')
            return {
              'https://idp.example.com': `http://127.0.0.1:${keyManagerPort}`,
              '/run/secrets/micro-gw-authz/client-secret': join(dir, 'client-secret'),
              ...(variant === 'socket.yaml'
                ? { '/run/micro-gw-authz': dir }
                : { '127.0.0.1:9001': `127.0.0.1:${sidecarPort}` }),
            }
          },
          bootstrap: (places) => inboundOnly(told, places),
        })
        running.keyManager.tokens.set('reads', {
          active: true,
          sub: 'alice',
          scope: 'orders:read',
          exp: inSeconds(300),
        })
        running.keyManager.tokens.set('writes', {
          active: true,
          sub: 'bob',
          scope: 'orders:write',
          exp: inSeconds(300),
        })
      })
      after(() => running?.close())

      it('every inbound chain that speaks HTTP asks, within 1 s, refusing where no answer comes', () => {
        const chains = listAt(inbound(told), 'filterChains').filter((chain) => every(chain, httpFilters).length > 0)
        expect(chains).to.have.length(4)
        for (const chain of chains) {
          const [filter, ...others] = every(chain, (object) =>
            String(object['@type']).endsWith('.filters.http.ext_authz.v3.ExtAuthz') ? object : undefined,
          )
          expect(others).to.deep.equal([])
          expect(filter).to.deep.include({ statusOnError: { code: 'ServiceUnavailable' } })
          expect(filter).to.not.have.any.keys('failureModeAllow', 'clearRouteCache', 'withRequestBody')
          expect(at(filter, 'grpcService', 'timeout')).to.equal('1s')
          const cluster = at(filter, 'grpcService', 'envoyGrpc', 'clusterName')
          expect(listAt(told, 'clusters').map((candidate) => at(candidate, 'name'))).to.include(cluster)
        }
      })

      it('allows a good token, with our headers in place of the credentials', async () => {
        const answer = await send(running.port, ['authorization', 'Bearer reads', 'x-auth-subject', 'evil'])
        expect(answer.status).to.equal(200)
        expect(valuesOf(answer, 'x-auth-subject')).to.deep.equal(['alice'])
        expect(valuesOf(answer, 'authorization')).to.deep.equal([])
      })

      it('refuses no token, a bad one, and two', async () => {
        expect((await send(running.port, [])).status).to.equal(401)
        expect((await send(running.port, ['authorization', 'Bearer bad'])).status).to.equal(401)
        const two = ['authorization', 'Bearer reads', 'authorization', 'Bearer reads']
        expect((await send(running.port, two)).status).to.equal(400)
      })

      it('holds the scopes of writing an order', async () => {
        expect(await post(running.port, '/orders/7', 'reads')).to.equal(403)
        expect(await post(running.port, '/orders/7', 'writes')).to.equal(200)
      })

      for (const path of spellings('orders', '7')) {
        it(`holds them at ${path} too`, async () => {
          expect(await post(running.port, path, 'reads')).to.be.oneOf([400, 403])
        })
      }

      for (const path of neighbours('orders')) {
        it(`asks for none at ${path}, which is not below /orders`, async () => {
          expect(await post(running.port, path, 'reads')).to.equal(200)
        })
      }

      it('lets /healthz through without a token, and nothing that looks like it', async () => {
        const answer = await send(running.port, ['x-auth-subject', 'evil'], '/healthz')
        expect(answer.status).to.equal(200)
        // loopback.yaml says that there nobody removes it.
        expect(valuesOf(answer, 'x-auth-subject')).to.deep.equal(variant === 'socket.yaml' ? [] : ['evil'])
        expect((await send(running.port, [], '/healthz/..%2forders')).status).to.be.oneOf([400, 401])
        expect((await send(running.port, [], '/healthzz')).status).to.equal(401)
      })

      it('refuses with 503 where no answer comes, and passes nothing', async () => {
        await running.stopSidecar()
        const answer = await send(running.port, ['authorization', 'Bearer reads'])
        expect(answer.status).to.equal(503)
        expect(answer.headers['x-authz-decision-id']).to.equal(undefined)
      })
    })
  }
})

describe('deploy/istio/service.yaml, as istiod tells it to an ingress gateway', function () {
  this.timeout(60_000)
  let told: JsonObject
  before(function () {
    told = translate(needTool(this, 'istio-translate'), {
      mesh: dump(at(load(example(files, 'mesh-values.yaml')), 'meshConfig')),
      workload: ['-namespace', 'istio-system'],
      resources: [example(files, 'service.yaml'), SURROUNDINGS],
    })
  })

  it('the gateway asks the service about the host, and not about its health', () => {
    const [filter, ...others] = every(listAt(told, 'listeners'), (object) =>
      String(object['@type']).endsWith('.filters.http.ext_authz.v3.ExtAuthz') ? object : undefined,
    )
    expect(others).to.deep.equal([])
    expect(at(filter, 'grpcService', 'envoyGrpc', 'clusterName')).to.equal(SERVICE_CLUSTER)
    expect(at(filter, 'grpcService', 'timeout')).to.equal('1s')
    expect(filter).to.deep.include({ statusOnError: { code: 'ServiceUnavailable' } })
    expect(filter).to.not.have.any.keys('failureModeAllow')
    const rules = JSON.stringify(every(listAt(told, 'listeners'), (object) => object['shadowRules']))
    expect(rules).to.contain('api.example.com').and.to.contain('/healthz')
  })

  it('over HTTP/2 and mutual TLS, to the least busy pod, leaving out one that fails', () => {
    const cluster = listAt(told, 'clusters').find((candidate) => at(candidate, 'name') === SERVICE_CLUSTER)
    expect(every(cluster, (object) => object['http2ProtocolOptions'])).to.have.length(1)
    expect(cluster).to.deep.include({ lbPolicy: 'LEAST_REQUEST', connectTimeout: '0.250s' })
    expect(at(cluster, 'outlierDetection')).to.deep.include({ consecutive5xx: 5, maxEjectionPercent: 50 })
    const [context] = every(cluster, (object) =>
      String(object['@type']).endsWith('.UpstreamTlsContext') ? object : undefined,
    )
    expect(at(context, 'commonTlsContext', 'tlsCertificateSdsSecretConfigs', 0, 'name')).to.equal('default')
  })
})

const SERVICE_CLUSTER = 'outbound|9001||micro-gw-authz.micro-gw-authz.svc.cluster.local'

/** A gateway that serves the host, and the Services of the cluster, as Istio's own resources. */
const SURROUNDINGS = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: api, namespace: istio-system }
spec:
  selector: { istio: ingressgateway }
  servers:
  - port: { number: 8080, name: http, protocol: HTTP }
    hosts: ["api.example.com"]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: micro-gw-authz-service, namespace: micro-gw-authz }
spec:
  hosts: [micro-gw-authz.micro-gw-authz.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
  - { number: 9001, name: grpc, protocol: GRPC }
  endpoints:
  - address: 10.0.0.9
`

function providers(): readonly { readonly name: unknown; readonly settings: JsonObject }[] {
  const mesh = listAt(load(example(files, 'mesh-values.yaml')), 'meshConfig', 'extensionProviders')
  return mesh.map((entry) => {
    const settings = at(entry, 'envoyExtAuthzGrpc')
    if (!isObject(settings)) throw new Error('a provider without settings')
    return { name: at(entry, 'name'), settings }
  })
}

function provider(name: string): JsonObject {
  const found = providers().find((entry) => entry.name === name)
  if (found === undefined) throw new Error(`mesh-values.yaml has no provider ${name}`)
  return found.settings
}

const camelCase = (name: string): string => name.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase())

/** The value of the EnvoyFilter's only patch of a kind. */
function patchValue(applyTo: string): unknown {
  const patches = listAt(resource('socket.yaml', 'EnvoyFilter'), 'spec', 'configPatches')
  const [patch, ...others] = patches.filter((candidate) => at(candidate, 'applyTo') === applyTo)
  expect(others).to.deep.equal([])
  return at(patch, 'patch', 'value')
}

/** Listeners and clusters of the proxy beside `orders`; socket.yaml without `pathNormalization`, which its rules do not need. */
function translated(program: string, variant: string): JsonObject {
  return translate(program, {
    mesh: variant === 'loopback.yaml' ? dump(at(load(example(files, 'mesh-values.yaml')), 'meshConfig')) : '{}',
    workload: ['-namespace', 'shop', '-app', 'orders', '-port', '8080'],
    resources: [example(files, variant)],
  })
}

/** What a proxy is told, by Istio's own generator. */
function translate(
  program: string,
  input: { readonly mesh: string; readonly workload: readonly string[]; readonly resources: readonly string[] },
): JsonObject {
  const dir = mkdtempSync(join(tmpdir(), 'micro-gw-istio-'))
  const file = (name: string, text: string): string => {
    writeFileSync(join(dir, name), text)
    return join(dir, name)
  }
  const out = join(dir, 'told.json')
  const sources = input.resources.map((text, index) => file(`${index}.yaml`, text))
  const args = ['-mesh', file('mesh.yaml', input.mesh), ...input.workload, '-out', out, ...sources]
  const run = spawnSync(program, args, { encoding: 'utf8', timeout: 60_000 })
  if (run.status !== 0) throw new Error(`istio-translate: ${run.stderr}`)
  const told: unknown = JSON.parse(readFileSync(out, 'utf8'))
  rmSync(dir, { recursive: true })
  if (!isObject(told)) throw new Error('istio-translate wrote no object')
  return told
}

function inbound(told: JsonObject): unknown {
  return listAt(told, 'listeners').find((listener) => at(listener, 'name') === 'virtualInbound')
}

const httpFilters = (object: JsonObject): unknown => object['httpFilters']

/**
 * The inbound chain of port 8080, for callers without mutual TLS, as a listener of its own. Left out is what only Istio's build of
 * Envoy has (`istio.*`); addresses are this run's, and what istiod would send later (the endpoint of the ServiceEntry) is put in.
 */
function inboundOnly(told: JsonObject, places: GatewayPlaces): object {
  const socket = (port: number): object => ({ socketAddress: { address: '127.0.0.1', portValue: port } })
  const chain = listAt(inbound(told), 'filterChains').find(
    (candidate) =>
      at(candidate, 'name') === '0.0.0.0_8080' &&
      at(candidate, 'filterChainMatch', 'transportProtocol') === 'raw_buffer',
  )
  const only = (value: unknown): boolean => !String(at(value, 'name')).startsWith('istio.')
  const filters = listAt(chain, 'filters')
    .filter(only)
    .map((filter) => {
      const manager = at(filter, 'typedConfig')
      const { accessLog: _, ...rest } = Object(manager)
      return {
        name: at(filter, 'name'),
        typedConfig: { ...rest, httpFilters: listAt(manager, 'httpFilters').filter(only) },
      }
    })
  const fixed = (cluster: unknown, port: number): object => {
    const { filters: _, edsClusterConfig: __, upstreamBindConfig: ___, ...rest } = Object(cluster)
    const endpoints = [{ lbEndpoints: [{ endpoint: { address: socket(port) } }] }]
    return { ...rest, type: 'STATIC', lbPolicy: 'ROUND_ROBIN', loadAssignment: { clusterName: rest.name, endpoints } }
  }
  const entry = resource('loopback.yaml', 'ServiceEntry')
  expect(at(entry, 'spec', 'endpoints', 0, 'address')).to.equal('127.0.0.1')
  const clusters = listAt(told, 'clusters').flatMap((cluster) => {
    const name = at(cluster, 'name')
    if (name === 'inbound|8080||') return [fixed(cluster, places.upstreamPort)]
    if (name === 'outbound|9001||micro-gw-authz.local') return [fixed(cluster, places.sidecarPort)]
    return name === 'micro-gw-authz' ? [cluster] : []
  })
  const listener = { name: 'virtualInbound', address: socket(places.port), filterChains: [{ filters }] }
  // The policy names the port; in a pod the redirected connection still has it.
  const text = JSON.stringify({ listeners: [listener], clusters })
    .replaceAll('/run/micro-gw-authz', places.dir)
    .replaceAll('"destinationPort":8080', `"destinationPort":${places.port}`)
  return { admin: { address: socket(places.adminPort) }, static_resources: JSON.parse(text) }
}
