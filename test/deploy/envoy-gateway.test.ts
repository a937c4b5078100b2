/**
 * deploy/envoy-gateway/: translated by Envoy Gateway's own egctl, its output asserted, and run: a real Envoy, the real sidecar on
 * the example's micro-gw.conf. Only addresses and files differ from what a cluster would get.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { dump } from 'js-yaml'
import { after, before, describe, it } from 'mocha'
import { ENVOY_VERSION } from '../../scripts/envoy.ts'
import { envoyOrSkip, send, valuesOf } from '../envoy/traffic.ts'
import type { Certificates } from '../support/certificates.ts'
import { type ConfigDump, every, readDump, staticResources } from '../support/config-dump.ts'
import { at, type CrdCheck, isObject, type JsonObject, listAt, needCrds, readResources } from '../support/crds.ts'
import { example, readExamples, unexplained } from '../support/example-folder.ts'
import {
  confProblems,
  type GatewayPlaces,
  post,
  type RunningGateway,
  startGateway,
  type TlsFiles,
  tlsFiles,
} from '../support/gateway.ts'
import { inSeconds } from '../support/pair.ts'
import { neighbours, spellings } from '../support/spellings.ts'
import { needTool } from '../support/tool.ts'

const files = readExamples('envoy-gateway')
const VARIANTS = ['sidecar.yaml', 'service.yaml'] as const
type Variant = (typeof VARIANTS)[number]
const SERVER_NAME = 'micro-gw-authz.micro-gw-authz.svc'
const RETRY_ON = 'connect-failure,refused-stream,reset,unavailable'
const HEADERS = [
  'authorization',
  'x-request-id',
  'traceparent',
  'tracestate',
  'origin',
  'access-control-request-method',
]

const all = (file: string, kind: string): readonly JsonObject[] =>
  readResources(example(files, file)).filter((candidate) => candidate['kind'] === kind)
const kubernetes = (path: string): string =>
  readFileSync(new URL(`../../deploy/kubernetes/${path}`, import.meta.url), 'utf8')
const confOf = (variant: Variant): string =>
  variant === 'service.yaml'
    ? kubernetes('base/micro-gw.conf')
    : String(at(all(variant, 'ConfigMap')[0], 'data', 'micro-gw.conf'))
/** The service that service.yaml calls is this one, with what it sets by its environment. */
const SETTINGS: Readonly<Record<string, string>> = {
  EXTAUTHZ_LISTEN: 'extAuthz.listen',
  EXTAUTHZ_TLS_CERTFILE: 'extAuthz.tls.certFile',
  EXTAUTHZ_TLS_KEYFILE: 'extAuthz.tls.keyFile',
  EXTAUTHZ_TLS_CLIENTCAFILE: 'extAuthz.tls.clientCaFile',
  EXTAUTHZ_DRAINHEALTH: 'extAuthz.drainHealth',
}

function serviceSettings(addresses: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const deployment = readResources(kubernetes('overlays/standalone/deployment.yaml'))[0]
  const environment = listAt(deployment, 'spec', 'template', 'spec', 'containers', 0, 'env')
  const ours = environment.filter((entry) => String(at(entry, 'name')) !== 'NODE_OPTIONS')
  return Object.fromEntries(
    ours.map((entry) => {
      const key = SETTINGS[String(at(entry, 'name'))]
      if (key === undefined) throw new Error(`which key is ${at(entry, 'name')}?`)
      const value = String(at(entry, 'value'))
      return [key, addresses[value] ?? value]
    }),
  )
}

/** What the cluster has besides: the workload, and for service.yaml the service and its certificates. */
function surroundings(variant: Variant, certificates: Certificates): readonly object[] {
  const service = (name: string, namespace: string, port: object, ip: string): object => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: { clusterIP: ip, selector: { app: name }, ports: [{ protocol: 'TCP', ...port }] },
  })
  const orders = service('orders', 'shop', { name: 'http', port: 80, targetPort: 8080 }, '10.96.0.80')
  if (variant === 'sidecar.yaml') return [orders]
  const serviceOfOverlay = readResources(kubernetes('overlays/standalone/service.yaml'))[0] ?? {}
  const base64 = (file: string): string => readFileSync(file).toString('base64')
  return [
    orders,
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'micro-gw-authz' } },
    {
      ...serviceOfOverlay,
      metadata: { name: 'micro-gw-authz', namespace: 'micro-gw-authz' },
      spec: { ...Object(serviceOfOverlay['spec']), clusterIP: '10.96.0.90' },
    },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'micro-gw-authz-tls', namespace: 'micro-gw-authz' },
      type: 'kubernetes.io/tls',
      data: {
        'tls.crt': base64(certificates.serverCertFile),
        'tls.key': base64(certificates.serverKeyFile),
        'ca.crt': base64(certificates.caFile),
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'envoy-client', namespace: 'shop' },
      type: 'kubernetes.io/tls',
      data: { 'tls.crt': base64(certificates.clientCertFile), 'tls.key': base64(certificates.clientKeyFile) },
    },
  ]
}

describe('deploy/envoy-gateway/', function () {
  this.timeout(120_000)
  let tls: TlsFiles

  before(() => {
    tls = tlsFiles()
  })
  after(() => tls?.remove())

  it('holds the files tested here, and no others', () => {
    expect(Object.keys(files)).to.deep.equal(['README.md', 'gateway.yaml', 'service.yaml', 'sidecar.yaml'])
    expect(unexplained('envoy-gateway', files)).to.deep.equal([])
  })

  it('sidecar.yaml: its micro-gw.conf is taken by check-config without a word', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'micro-gw-eg-'))
    writeFileSync(join(dir, 'client-secret'), 'gateway-secret\n')
    const secret = { '/run/secrets/micro-gw-authz/client-secret': join(dir, 'client-secret') }
    expect(await confProblems(confOf('sidecar.yaml'), { ...secret, '/run/micro-gw-authz': dir })).to.deep.equal([])
    rmSync(dir, { recursive: true })
  })

  it("sidecar.yaml: the sidecar starts before Envoy, and both see the socket's folder", () => {
    const deployment = at(all('sidecar.yaml', 'EnvoyProxy')[0], 'spec', 'provider', 'kubernetes', 'envoyDeployment')
    const sidecar = at(deployment, 'initContainers', 0)
    expect(sidecar).to.deep.include({ name: 'micro-gw-authz', restartPolicy: 'Always' })
    const socket = { name: 'micro-gw-authz-socket', mountPath: '/run/micro-gw-authz' }
    expect(listAt(sidecar, 'volumeMounts')).to.deep.include(socket)
    expect(listAt(deployment, 'container', 'volumeMounts')).to.deep.include(socket)
    const volumes = listAt(deployment, 'pod', 'volumes').map((volume) => at(volume, 'name'))
    expect(volumes).to.include.members(listAt(sidecar, 'volumeMounts').map((mount) => at(mount, 'name')))
    const path = at(all('sidecar.yaml', 'Backend')[0], 'spec', 'endpoints', 0, 'unix', 'path')
    expect(confOf('sidecar.yaml')).to.contain(`listen = "unix:${path}"`)
  })

  it('the policies of both files differ in where the sidecar is, and in nothing else', () => {
    const policies = (variant: Variant): unknown =>
      JSON.parse(
        JSON.stringify(all(variant, 'SecurityPolicy'), (key, value) => (key === 'backendRefs' ? undefined : value)),
      )
    expect(policies('service.yaml')).to.deep.equal(policies('sidecar.yaml'))
    expect(all('service.yaml', 'SecurityPolicy')).to.have.length(3)
  })

  describe("Envoy Gateway's definitions and Gateway API's", () => {
    let definitions: CrdCheck
    before(function () {
      definitions = needCrds(this, ['gateway-api', 'envoy-gateway'])
    })
    after(() => definitions?.close())

    for (const file of ['gateway.yaml', ...VARIANTS]) {
      it(`know every field of ${file}`, () => {
        expect(definitions.problems(example(files, file))).to.deep.equal([])
      })
    }

    it('refuse a misspelt field in each kind', () => {
      const refused = (file: string, from: string, to: string): readonly string[] =>
        definitions.problems(example(files, file).replace(from, to))
      expect(refused('service.yaml', 'statusOnError: 503', 'statusOnEror: 503')).to.have.length(1)
      expect(refused('service.yaml', 'clientCertificateRef', 'clientCertificate')).to.have.length(1)
      expect(refused('service.yaml', 'hostname:', 'hostnam:')).to.have.length(1)
      expect(refused('sidecar.yaml', 'unix: {', 'unxi: {')).to.have.length(1)
      expect(refused('sidecar.yaml', 'restartPolicy:', 'restarPolicy:')).to.have.length(1)
      expect(refused('gateway.yaml', 'parametersRef:', 'paramsRef:')).to.have.length(1)
    })
  })

  describe('egctl x translate', () => {
    let egctl: string
    let binary: string
    before(function () {
      egctl = needTool(this, 'egctl')
      binary = envoyOrSkip(ENVOY_VERSION, this)
    })

    it('refuses a misspelt field', () => {
      const text = input('sidecar.yaml').replace('failOpen: false', 'failOpne: false')
      expect(run(text).status).to.not.equal(0)
    })

    for (const variant of VARIANTS) {
      describe(variant, () => {
        let told: ConfigDump
        let running: RunningGateway

        before(async () => {
          told = translated(variant)
          const socket = variant === 'sidecar.yaml'
          running = await startGateway({
            binary,
            conf: confOf(variant),
            confAddresses: ({ dir, keyManagerPort }) => {
              writeFileSync(join(dir, 'client-secret'), 'gateway-secret\n')
              const idp = `http://127.0.0.1:${keyManagerPort}`
              const secret = { '/run/secrets/micro-gw-authz/client-secret': join(dir, 'client-secret') }
              return socket
                ? { ...secret, 'https://idp.example.com': idp, '/run/micro-gw-authz': dir }
                : { ...secret, 'https://keycloak.example.com': idp }
            },
            settings: ({ sidecarPort }) =>
              socket ? {} : serviceSettings({ ...tls.paths, '0.0.0.0:9001': `127.0.0.1:${sidecarPort}` }),
            bootstrap: (places) => bootstrap(told, places, tls.certificates),
          })
          // deploy/kubernetes/base/micro-gw.conf wants both.
          const claims = {
            iss: `http://127.0.0.1:${running.keyManager.port}/realms/shop`,
            aud: 'gateway',
            exp: inSeconds(300),
          }
          running.keyManager.tokens.set('reads', { active: true, sub: 'alice', scope: 'orders:read', ...claims })
          running.keyManager.tokens.set('writes', { active: true, sub: 'bob', scope: 'orders:write', ...claims })
        })
        after(() => running?.close())

        it('every route has a filter of its own policy, and the filter every setting', () => {
          const routes = every(told.routes, (object) => (isObject(object['match']) ? object : undefined))
          const policyOf = (route: JsonObject): string => {
            const [name = '', ...others] = Object.keys(Object(route['typedPerFilterConfig']))
            expect(others).to.deep.equal([])
            return name.replace('envoy.filters.http.ext_authz/securitypolicy/shop/', '')
          }
          expect(routes.map(policyOf).sort()).to.deep.equal([
            'micro-gw-authz',
            'micro-gw-authz-health',
            'micro-gw-authz-orders-write',
          ])
          const contexts = Object.fromEntries(
            routes.map((route) => [policyOf(route), every(route, (object) => object['contextExtensions'])]),
          )
          expect(contexts).to.deep.equal({
            'micro-gw-authz': [],
            'micro-gw-authz-health': [{ anonymous: 'true' }],
            'micro-gw-authz-orders-write': [{ scopes: 'orders:write', max_age: '60s' }],
          })

          const filters = every(told.listeners, (object) =>
            String(object['@type']).endsWith('.ext_authz.v3.ExtAuthz') ? object : undefined,
          )
          expect(filters).to.have.length(3)
          for (const filter of filters) {
            expect(filter).to.deep.include({ transportApiVersion: 'V3', statusOnError: { code: 'ServiceUnavailable' } })
            // proto3 JSON leaves out what is false.
            expect(filter).to.not.have.any.keys('failureModeAllow', 'clearRouteCache', 'withRequestBody')
            expect(at(filter, 'grpcService', 'timeout')).to.equal('1s')
            const { retryOn, numRetries } = Object(at(filter, 'grpcService', 'retryPolicy'))
            expect({ retryOn, numRetries }).to.deep.equal({ retryOn: RETRY_ON, numRetries: 1 })
            expect(listAt(filter, 'allowedHeaders', 'patterns').map((pattern) => at(pattern, 'exact'))).to.deep.equal(
              HEADERS,
            )
          }
        })

        it('the cluster of each filter speaks HTTP/2 to the sidecar, with room for 10,000 Checks', () => {
          const names = every(told.listeners, (object) =>
            isObject(object['envoyGrpc']) ? object['envoyGrpc']['clusterName'] : undefined,
          )
          const clusters = told.clusters.filter((cluster) => names.includes(cluster['name'] ?? null))
          expect(clusters).to.have.length(3)
          for (const cluster of clusters) {
            const [http2] = every(cluster, (object) => object['http2ProtocolOptions'])
            expect(http2).to.deep.include({ maxConcurrentStreams: 1024 })
            expect(at(cluster, 'circuitBreakers', 'thresholds', 0)).to.deep.include({
              maxRequests: 10000,
              maxPendingRequests: 10000,
              maxRetries: 1000,
            })
            expect(at(cluster, 'connectTimeout')).to.equal('0.250s')
            expect(at(cluster, 'healthChecks', 0)).to.have.property('grpcHealthCheck')
          }
          const alternativeNames = every(clusters, (object) => object['matchTypedSubjectAltNames'])
          if (variant === 'service.yaml')
            expect(JSON.stringify(alternativeNames)).to.contain(`"exact":"${SERVER_NAME}"`)
          else expect(alternativeNames).to.deep.equal([])
        })

        it('allows a good token, with our headers in place of the credentials', async () => {
          const answer = await send(running.port, ['authorization', 'Bearer reads', 'x-auth-subject', 'evil'])
          expect(answer.status).to.equal(200)
          expect(valuesOf(answer, 'x-auth-subject')).to.deep.equal(['alice'])
          expect(valuesOf(answer, 'authorization')).to.deep.equal([])
        })

        it('refuses no token and a bad one, with our answer', async () => {
          const none = await send(running.port, [])
          expect(none.status).to.equal(401)
          expect(none.headers['www-authenticate']).to.equal('Bearer realm="micro-gw"')
          expect((await send(running.port, ['authorization', 'Bearer bad'])).status).to.equal(401)
        })

        it("holds the rule's scopes", async () => {
          expect(await post(running.port, '/orders/7', 'reads')).to.equal(403)
          expect(await post(running.port, '/orders/7', 'writes')).to.equal(200)
        })

        for (const path of spellings('orders', '7')) {
          it(`holds them at ${path} too`, async () => {
            // 307: Envoy Gateway sends the client to the decoded path, which is judged when it comes.
            expect(await post(running.port, path, 'reads')).to.be.oneOf([307, 400, 403])
          })
        }

        for (const path of neighbours('orders')) {
          it(`asks for none at ${path}, which is not below /orders`, async () => {
            expect(await post(running.port, path, 'reads')).to.equal(200)
          })
        }

        it('lets /healthz through without a token and without the headers that a client made up', async () => {
          const answer = await send(running.port, ['x-auth-subject', 'evil'], '/healthz')
          expect(answer.status).to.equal(200)
          expect(valuesOf(answer, 'x-auth-subject')).to.deep.equal([])
        })

        it('refuses with 503 where no answer comes, and passes nothing', async () => {
          await running.stopSidecar()
          const answer = await send(running.port, ['authorization', 'Bearer reads'])
          expect(answer.status).to.equal(503)
          expect(answer.headers['x-authz-decision-id']).to.equal(undefined)
        })
      })
    }

    function input(variant: Variant): string {
      const texts = [
        example(files, 'gateway.yaml'),
        example(files, variant),
        ...surroundings(variant, tls.certificates).map((it) => dump(it)),
      ]
      return texts.join('\n---\n')
    }

    function run(text: string): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
      const dir = mkdtempSync(join(tmpdir(), 'micro-gw-egctl-'))
      const file = join(dir, 'input.yaml')
      writeFileSync(file, text)
      const args = [
        'x',
        'translate',
        '--from',
        'gateway-api',
        '--to',
        'gateway-api,xds',
        '--output',
        'json',
        '--file',
        file,
      ]
      const { status, stdout, stderr } = spawnSync(egctl, args, {
        encoding: 'utf8',
        timeout: 60_000,
        maxBuffer: 2 ** 26,
      })
      rmSync(dir, { recursive: true })
      return { status, stdout, stderr }
    }

    function translated(variant: Variant): ConfigDump {
      const { status, stdout, stderr } = run(input(variant))
      if (status !== 0) throw new Error(`egctl: ${stdout}${stderr}`)
      const result: unknown = JSON.parse(stdout)
      const refused = every(result, (object) =>
        object['status'] === 'False' && object['type'] !== 'Overridden' ? object : undefined,
      )
      expect(refused, 'conditions that are not met').to.deep.equal([])
      const told = readDump(at(result, 'xds'))
      // Envoy Gateway's own readiness listener is no part of the example.
      return { ...told, listeners: told.listeners.filter(({ name }) => String(name).startsWith('shop/api/')) }
    }
  })
})

/** The dump with this run's addresses, and the certificates that the dump names only. */
function bootstrap(told: ConfigDump, places: GatewayPlaces, certificates: Certificates): object {
  const secrets = every(told.clusters, (object) =>
    object['sdsConfig'] === undefined ? undefined : String(object['name']),
  )
  const resources = staticResources(
    told,
    [...new Set(secrets)].map((name) =>
      name.endsWith('-ca') || name.includes('/ca')
        ? { name, validationContext: { trustedCa: { filename: certificates.caFile } } }
        : {
            name,
            tlsCertificate: {
              certificateChain: { filename: certificates.clientCertFile },
              privateKey: { filename: certificates.clientKeyFile },
            },
          },
    ),
  )
  const moved: readonly (readonly [string, number, number])[] = [
    ['0.0.0.0', 8080, places.port],
    ['10.96.0.80', 80, places.upstreamPort],
    ['10.96.0.90', 9001, places.sidecarPort],
  ]
  const text = JSON.stringify(resources, (_, value) => {
    if (!isObject(value) || !isObject(value['socketAddress'])) return value
    const { address, portValue } = value['socketAddress']
    const found = moved.find(([host, port]) => address === host && portValue === port)
    if (found === undefined) throw new Error(`an address that nobody rewrote: ${JSON.stringify(value)}`)
    return { socketAddress: { address: '127.0.0.1', portValue: found[2] } }
  })
  return {
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: places.adminPort } } },
    static_resources: JSON.parse(
      text.replaceAll('/run/micro-gw-authz', places.dir).replaceAll('/dev/stdout', join(places.dir, 'access.log')),
    ),
  }
}
