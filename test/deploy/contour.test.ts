/** deploy/contour/: every field known to Contour's definitions, and the files fit together. */
import { expect } from 'chai'
import { after, before, describe, it } from 'mocha'
import { compileRoute } from '../../src/authz/route.ts'
import { at, type CrdCheck, isObject, type JsonObject, listAt, needCrds, readResources } from '../support/crds.ts'
import { example, readExamples, unexplained } from '../support/example-folder.ts'

const files = readExamples('contour')
const RESOURCES = ['extension-service.yaml', 'global.yaml', 'virtual-host.yaml'] as const
const resource = (file: string, kind: string): JsonObject => {
  const found = readResources(example(files, file)).find((candidate) => candidate['kind'] === kind)
  if (found === undefined) throw new Error(`${file} has no ${kind}`)
  return found
}

describe('deploy/contour/', function () {
  this.timeout(60_000)

  it('holds the files tested here, and no others', () => {
    expect(Object.keys(files)).to.deep.equal(['README.md', ...RESOURCES])
    expect(unexplained('contour', files)).to.deep.equal([])
  })

  it('asks over TLS with a verified name, refuses where no answer comes, and says its timeout, everywhere', () => {
    const service = at(resource('extension-service.yaml', 'ExtensionService'), 'spec')
    expect(service).to.deep.include({ protocol: 'h2', timeoutPolicy: { response: '1s' } })
    expect(at(service, 'validation')).to.have.keys('caSecret', 'subjectName')
    const asks = [
      at(resource('virtual-host.yaml', 'HTTPProxy'), 'spec', 'virtualhost', 'authorization'),
      at(resource('global.yaml', 'ContourConfiguration'), 'spec', 'globalExtAuth'),
    ]
    for (const authorization of asks) {
      expect(authorization).to.deep.include({ failOpen: false, responseTimeout: '1s' })
      const { name, namespace } = { name: 'micro-gw-authz', namespace: 'micro-gw-authz' }
      expect(at(resource('extension-service.yaml', 'ExtensionService'), 'metadata')).to.deep.equal({ name, namespace })
      expect(at(authorization, 'extensionRef')).to.deep.include({ name, namespace })
    }
    expect(at(resource('virtual-host.yaml', 'HTTPProxy'), 'spec', 'virtualhost', 'tls')).to.have.property('secretName')
  })

  it('every context is one that the sidecar reads', () => {
    const contexts = RESOURCES.flatMap((file) => readResources(example(files, file))).flatMap(contextsOf)
    expect(contexts).to.have.length(4)
    for (const context of contexts) {
      expect(compileRoute(new Map(Object.entries(context).map(([key, value]) => [key, String(value)])))).to.include({
        ok: true,
      })
    }
  })

  it('what is open to everybody is open at one path, and not at all that begin with it', () => {
    const open = listAt(resource('virtual-host.yaml', 'HTTPProxy'), 'spec', 'routes').filter((route) =>
      contextsOf(route).some((context) => context['anonymous'] === 'true'),
    )
    expect(open.map((route) => at(route, 'conditions'))).to.deep.equal([[{ exact: '/healthz' }]])
  })

  it('the policy of writing an order is of the paths of its rule, not of all that begin with them', () => {
    const [writes] = listAt(resource('virtual-host.yaml', 'HTTPProxy'), 'spec', 'routes').filter((route) =>
      contextsOf(route).some((context) => context['scopes'] === 'orders:write'),
    )
    const [path] = listAt(writes, 'conditions')
    expect(path).to.deep.equal({ regex: '/orders(/.*)?' })
  })

  describe("Contour's definitions", () => {
    let definitions: CrdCheck
    before(function () {
      definitions = needCrds(this, ['contour'])
    })
    after(() => definitions?.close())

    for (const file of RESOURCES) {
      it(`know every field of ${file}`, () => {
        expect(definitions.problems(example(files, file))).to.deep.equal([])
      })
    }

    it('refuse a misspelt field in each kind, and a value that is none', () => {
      const refused = (file: string, from: string, to: string): readonly string[] =>
        definitions.problems(example(files, file).replace(from, to))
      expect(refused('extension-service.yaml', 'caSecret:', 'caSecrte:')).to.have.length(1)
      expect(refused('virtual-host.yaml', 'failOpen:', 'failOpne:')).to.have.length(1)
      expect(
        refused('virtual-host.yaml', 'authPolicy: { context: { anonymous', 'authPolicy: { contxet: { anonymous'),
      ).to.have.length(1)
      expect(refused('global.yaml', '\n  globalExtAuth:', '\n  globalExtAut:')).to.have.length(1)
      expect(refused('virtual-host.yaml', 'responseTimeout: 1s', 'responseTimeout: soon')).to.have.length(1)
    })
  })
})

/** Every `authPolicy.context` of a resource. */
function contextsOf(value: unknown): readonly JsonObject[] {
  if (Array.isArray(value)) return value.flatMap(contextsOf)
  if (!isObject(value)) return []
  const { authPolicy, ...rest } = value
  const own = isObject(authPolicy) && isObject(authPolicy['context']) ? [authPolicy['context']] : []
  return [...own, ...Object.values(rest).flatMap(contextsOf)]
}
