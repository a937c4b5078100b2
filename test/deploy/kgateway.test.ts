/**
 * deploy/kgateway/: no Go module ships kgateway's definitions, so its kinds are held against the field lists below, taken by hand
 * from its API types (August 2026); Gateway API's kinds against their own definitions.
 */
import { expect } from 'chai'
import { after, before, describe, it } from 'mocha'
import { compileRoute } from '../../src/authz/route.ts'
import { at, type CrdCheck, type Json, type JsonObject, listAt, needCrds, readResources } from '../support/crds.ts'
import { example, readExamples, unexplained } from '../support/example-folder.ts'

const files = readExamples('kgateway')
const RESOURCES = ['ext-auth.yaml', 'gateway.yaml'] as const
const of = (kind: string): readonly JsonObject[] =>
  readResources(example(files, 'ext-auth.yaml')).filter((candidate) => candidate['kind'] === kind)

const text = { type: 'string' } as const
const flag = { type: 'boolean' } as const
/** Closed by `needCrds`, as a definition's objects are. An empty `required` is no schema in the draft that kubeconform reads. */
const closed = (properties: JsonObject, ...required: readonly string[]): JsonObject =>
  required.length === 0 ? { type: 'object', properties } : { type: 'object', properties, required }
const whole = (minimum: number, maximum: number): JsonObject => ({ type: 'integer', minimum, maximum })
const duration = { type: 'string', pattern: '^([0-9]{1,5}(h|m|s|ms)){1,4}$' } as const
const oneOf = (...names: readonly string[]): readonly Json[] => names.map((name) => ({ required: [name] }))
const body = closed(
  { maxRequestBytes: whole(1, 2 ** 31 - 1), allowPartialMessage: flag, packAsBytes: flag },
  'maxRequestBytes',
)

const GATEWAY_EXTENSION = closed({
  type: { enum: ['ExtAuth', 'ExtProc', 'RateLimit', 'JWT', 'OAuth2'] },
  extAuth: {
    ...closed({
      grpcService: closed(
        {
          backendRef: closed(
            {
              group: text,
              kind: text,
              name: text,
              namespace: text,
              port: whole(1, 65_535),
              weight: whole(0, 1_000_000),
            },
            'name',
          ),
          authority: text,
          requestTimeout: duration,
          retry: closed({
            attempts: whole(0, 2 ** 31 - 1),
            backoff: closed({ baseInterval: duration, maxInterval: duration }, 'baseInterval'),
          }),
        },
        'backendRef',
      ),
      headersToForward: { type: 'array', items: text },
      failOpen: flag,
      clearRouteCache: flag,
      withRequestBody: body,
      statusOnError: whole(100, 511),
      statPrefix: { type: 'string', minLength: 1 },
      percentageEnabled: whole(0, 100),
    }),
    // httpService is not for this sidecar.
    required: ['grpcService'],
  },
})

const TRAFFIC_POLICY = closed({
  targetRefs: {
    type: 'array',
    minItems: 1,
    maxItems: 16,
    items: closed(
      {
        group: text,
        kind: { enum: ['Gateway', 'HTTPRoute', 'GRPCRoute', 'ListenerSet'] },
        name: text,
        sectionName: text,
      },
      'group',
      'kind',
      'name',
    ),
  },
  extAuth: {
    ...closed({
      extensionRef: closed({ name: text, namespace: text }, 'name'),
      withRequestBody: body,
      contextExtensions: { type: 'object', additionalProperties: text },
      disable: { type: 'object', properties: {} },
    }),
    oneOf: oneOf('extensionRef', 'disable'),
  },
})

const BACKEND_CONFIG_POLICY = closed({
  targetRefs: {
    type: 'array',
    minItems: 1,
    maxItems: 16,
    items: closed({ group: text, kind: text, name: text }, 'group', 'kind', 'name'),
  },
  connectTimeout: duration,
  tls: closed({
    secretRef: closed({ name: text }, 'name'),
    sni: { type: 'string', minLength: 1 },
    verifySubjectAltNames: { type: 'array', items: text },
    alpnProtocols: { type: 'array', items: text },
    simpleTLS: flag,
  }),
  circuitBreakers: closed({
    maxConnections: whole(1, 2 ** 31 - 1),
    maxPendingRequests: whole(1, 2 ** 31 - 1),
    maxRequests: whole(1, 2 ** 31 - 1),
    maxRetries: whole(0, 2 ** 31 - 1),
    trackRemaining: flag,
  }),
})

const definition = (kind: string, spec: JsonObject): JsonObject => ({
  kind: 'CustomResourceDefinition',
  spec: {
    group: 'gateway.kgateway.dev',
    names: { kind },
    versions: [{ name: 'v1alpha1', schema: { openAPIV3Schema: closed({ spec }, 'spec') } }],
  },
})

describe('deploy/kgateway/', function () {
  this.timeout(60_000)

  it('holds the files tested here, and no others', () => {
    expect(Object.keys(files)).to.deep.equal(['README.md', ...RESOURCES])
    expect(unexplained('kgateway', files)).to.deep.equal([])
  })

  it('says its timeout, refuses where no answer comes, and lets shop name the service', () => {
    const extAuth = at(of('GatewayExtension')[0], 'spec', 'extAuth')
    expect(extAuth).to.deep.include({ failOpen: false, statusOnError: 503, clearRouteCache: false })
    expect(at(extAuth, 'grpcService', 'requestTimeout')).to.equal('1s')
    const reference = at(extAuth, 'grpcService', 'backendRef')
    const service = of('Service')[0]
    expect(at(service, 'metadata')).to.deep.equal({
      name: at(reference, 'name'),
      namespace: at(reference, 'namespace'),
    })
    expect(at(service, 'spec', 'ports', 0)).to.deep.include({
      port: at(reference, 'port'),
      appProtocol: 'kubernetes.io/h2c',
    })
    const grant = of('ReferenceGrant')[0]
    expect(at(grant, 'metadata', 'namespace')).to.equal(at(reference, 'namespace'))
    expect(at(grant, 'spec', 'to', 0, 'name')).to.equal(at(reference, 'name'))
    expect(at(grant, 'spec', 'from', 0)).to.deep.equal({
      group: 'gateway.kgateway.dev',
      kind: 'GatewayExtension',
      namespace: 'shop',
    })
  })

  it('every policy names the extension and something of gateway.yaml, and has a context that the sidecar reads', () => {
    const policies = of('TrafficPolicy')
    expect(policies).to.have.length(3)
    for (const policy of policies) {
      const extAuth = at(policy, 'spec', 'extAuth')
      expect(at(extAuth, 'extensionRef', 'name')).to.equal(at(of('GatewayExtension')[0], 'metadata', 'name'))
      const { kind, name, sectionName } = target(policy)
      const found = readResources(example(files, 'gateway.yaml')).find(
        (candidate) => candidate['kind'] === kind && at(candidate, 'metadata', 'name') === name,
      )
      if (kind === 'Gateway') expect(found).to.be.an('object')
      else expect(listAt(found, 'spec', 'rules').map((rule) => at(rule, 'name'))).to.include(sectionName)
      const context = kind === 'Gateway' ? {} : at(extAuth, 'contextExtensions')
      expect(
        compileRoute(new Map(Object.entries(Object(context)).map(([key, value]) => [key, String(value)]))),
      ).to.include({ ok: true })
    }
    expect(policies.map((policy) => target(policy).kind)).to.include('Gateway')
  })

  describe('definitions', () => {
    let definitions: CrdCheck
    before(function () {
      definitions = needCrds(
        this,
        ['gateway-api'],
        [
          definition('GatewayExtension', GATEWAY_EXTENSION),
          definition('TrafficPolicy', TRAFFIC_POLICY),
          definition('BackendConfigPolicy', BACKEND_CONFIG_POLICY),
        ],
      )
    })
    after(() => definitions?.close())

    for (const file of RESOURCES) {
      it(`know every field of ${file}`, () => {
        expect(definitions.problems(example(files, file))).to.deep.equal([])
      })
    }

    it('refuse a misspelt field in each kind', () => {
      const refused = (file: string, from: string, to: string): readonly string[] =>
        definitions.problems(example(files, file).replace(from, to))
      expect(refused('ext-auth.yaml', 'requestTimeout:', 'requestTimeuot:')).to.have.length(1)
      expect(refused('ext-auth.yaml', 'contextExtensions:', 'contextExtension:')).to.have.length(1)
      expect(refused('ext-auth.yaml', 'circuitBreakers:', 'circuitBreaker:')).to.have.length(1)
      expect(refused('ext-auth.yaml', 'from:', 'form:')).to.have.length(1)
      expect(refused('gateway.yaml', 'backendRefs:', 'backendRef:')).to.have.length(1)
      expect(refused('gateway.yaml', 'gatewayClassName:', 'gatewayClass:')).to.have.length(1)
    })
  })
})

function target(policy: JsonObject): { readonly kind: unknown; readonly name: unknown; readonly sectionName: unknown } {
  const reference = Object(at(policy, 'spec', 'targetRefs', 0))
  return { kind: reference['kind'], name: reference['name'], sectionName: reference['sectionName'] }
}
