/** The chart's NOTES.txt: what it says to paste names what exists, and fits what the service wants. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { load } from 'js-yaml'
import { before, describe, it } from 'mocha'
import { SERVER_NAME } from '../envoy/deployed.ts'
import { at, listAt } from '../support/crds.ts'
import { needTool } from '../support/tool.ts'
import { renderNotes } from './helm-notes.ts'
import { ofKind, ROOT, readManifests, run } from './kubernetes-rendered.ts'

const CHART = 'deploy/helm/micro-gw-authz'

describe(`${CHART}: the notes`, function () {
  this.timeout(60_000)
  let helm: string

  before(function () {
    helm = needTool(this, 'helm')
  })

  const clusterOf = (notes: string): unknown => load(/^ {2}- name: ext_authz[\s\S]*?\n\n/m.exec(notes)?.[0] ?? '')

  it('the cluster speaks TLS as deploy/envoy/mutual-tls.yaml does where the service wants it', () => {
    const [cluster] = listAt({ clusters: clusterOf(showNotes('ci/mutual-tls-values.yaml')) }, 'clusters')
    const name = 'authz-micro-gw-authz-headless.gateway.svc'
    const whole = load(readFileSync(join(ROOT, 'deploy/envoy/mutual-tls.yaml'), 'utf8').replaceAll(SERVER_NAME, name))
    const ours = listAt(whole, 'static_resources', 'clusters').find((one) => at(one, 'name') === 'authz')
    expect(at(cluster, 'transport_socket')).to.deep.equal(at(ours, 'transport_socket'))
    const plain = listAt({ clusters: clusterOf(showNotes('ci/mesh-values.yaml')) }, 'clusters')
    expect(plain[0]).to.have.property('load_assignment')
    expect(plain[0]).not.to.have.property('transport_socket')
  })

  it('the provider of Istio is for the plain listener only, and has the status where no answer came', () => {
    const providers = /^ {2}extensionProviders:[\s\S]*?\n\n/m
    const told = load(providers.exec(showNotes('ci/mesh-values.yaml'))?.[0] ?? '')
    expect(at(told, 'extensionProviders', 0, 'envoyExtAuthzGrpc')).to.deep.equal({
      service: 'authz-micro-gw-authz.gateway.svc.cluster.local',
      port: 9191,
      timeout: '1s',
      failOpen: false,
      statusOnError: '503',
    })
    expect(showNotes('ci/mutual-tls-values.yaml')).not.to.match(providers)
  })

  it('name the Service that exists', () => {
    const notes = showNotes('ci/mutual-tls-values.yaml')
    const place = ['template', 'authz', CHART, '-n', 'gateway', '--kube-version', '1.37.0']
    const template = run(helm, ...place, '-f', join(CHART, 'ci/mutual-tls-values.yaml'))
    const services = ofKind(readManifests(template), 'Service')
    const names = services.map(({ metadata }) => metadata.name).sort()
    expect(names).to.deep.equal(['authz-micro-gw-authz', 'authz-micro-gw-authz-headless'])
    expect(notes).to.include('address: authz-micro-gw-authz-headless.gateway.svc, port_value: 9001')
    expect(notes).to.include('over mutual TLS').and.to.include('Secret micro-gw-authz-tls')
    expect(showNotes('ci/mesh-values.yaml')).to.include('PLAIN').and.to.include('port: 9191')
    expect(clusterOf(notes)).to.have.nested.property('[0].load_assignment.cluster_name', 'ext_authz')
  })

  const showNotes = (values: string): string =>
    renderNotes(helm, CHART, Object(load(readFileSync(join(ROOT, CHART, values), 'utf8'))))
})
