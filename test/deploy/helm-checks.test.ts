/** `templates/_checks.tpl` of the chart: what would install and then not serve is refused, and nothing else. */
import { spawnSync } from 'node:child_process'
import { expect } from 'chai'
import { before, describe, it } from 'mocha'
import { needTool } from '../support/tool.ts'
import { ofKind, ROOT, readManifests } from './kubernetes-rendered.ts'

const CHART = 'deploy/helm/micro-gw-authz'

describe(`${CHART}: what would not serve is refused`, function () {
  this.timeout(60_000)
  let helm: string

  before(function () {
    helm = needTool(this, 'helm')
  })

  /** What helm prints, and what it says where it refuses. */
  function render(values: object, ...sets: readonly string[]): { readonly printed: string; readonly said: string } {
    const args = ['template', CHART, '--kube-version', '1.37.0', '-f', '-', ...sets.flatMap((set) => ['--set', set])]
    const ran = spawnSync(helm, args, { cwd: ROOT, encoding: 'utf8', input: JSON.stringify(values) })
    return { printed: ran.stdout, said: ran.status === 0 ? '' : ran.stderr }
  }

  const strategyOf = (printed: string): unknown =>
    Object(ofKind(readManifests(printed), 'Deployment')[0]?.spec).strategy

  const CONF = `[keyManager]\nintrospectUrl = "https://as.example.com/introspect"`
  const refused = (conf: string, ...sets: readonly string[]): string => render({ microGwConf: conf }, ...sets).said
  const urlOf = (url: string): string => `[keyManager]\nintrospectUrl = "${url}"`
  const REFRESH = '[keyManager.security.oauth2.refresh]\nclientSecret = ["a", "b"]\n\nenabled = true\n'

  it('a port of the key manager that no rule lets out', () => {
    expect(refused(CONF)).to.equal('')
    expect(refused(urlOf('https://as.example.com:443/x'))).to.equal('')
    expect(refused(urlOf('https://wso2.example.com:9443/oauth2/introspect'))).to.include('port 9443')
    expect(refused(urlOf('http://hydra:4445/x'))).to.include('port 4445')
    expect(refused(urlOf('http://keycloak/x'))).to.include('port 80')
    expect(refused('[keyManager]\nserverUrl = "https://localhost:9443"')).to.include('port 9443')
    expect(refused(`${CONF}\nserverUrl = "https://localhost:9443"`)).to.equal('')
    expect(refused(`${CONF}\n# serverUrl = "https://localhost:9443"`)).to.equal('')
    expect(refused(`${urlOf('https://wso2:9443/x')}\nproxy = "http://proxy:3128"`)).to.equal('')
    expect(refused(urlOf('https://wso2:9443/x'), 'networkPolicy.enabled=false')).to.equal('')
    for (const rule of [{ ports: [{ port: 8443, protocol: 'TCP' }] }, { to: [{ ipBlock: { cidr: '10.0.0.0/8' } }] }]) {
      const values = { microGwConf: urlOf('https://wso2:9443/x'), networkPolicy: { egress: [rule] } }
      expect(render(values).said).to.equal('')
    }
    const config = { keyManager: { introspectUrl: 'https://wso2:9443/x' } }
    expect(render({ config }).said).to.include('port 9443')
  })

  it('an own token that is renewed by a refresh token, in more than one pod', () => {
    const text = `${CONF}\n${REFRESH}`
    expect(refused(text)).to.include('replicas')
    expect(refused(text, 'replicas=1', 'autoscaling.enabled=true')).to.include('autoscaling')
    expect(refused(text, 'replicas=1')).to.equal('')
    expect(refused(text.replace('true', 'false'))).to.equal('')
    expect(refused(`${text.replace('true', 'false')}[caching]\nenabled = true`)).to.equal('')
    const config = { keyManager: { security: { oauth2: { refresh: { enabled: true } } } } }
    expect(render({ config }).said).to.include('replicas')
    expect(strategyOf(render({ config }, 'replicas=1').printed)).to.deep.equal({ type: 'Recreate' })
    expect(strategyOf(render({ microGwConf: CONF }).printed)).to.have.property('type', 'RollingUpdate')
  })

  it('[extAuthz.tls] in the text where the chart says that there is none', () => {
    const text = `${CONF}\n[ extAuthz.tls ]\ncertFile = "/a"`
    expect(refused(text, 'extAuthz.tls.enabled=false')).to.include('[extAuthz.tls]')
    expect(refused(text)).to.equal('')
    expect(refused(`${CONF}\n# [extAuthz.tls]`, 'extAuthz.tls.enabled=false')).to.equal('')
  })

  it('two listeners on one port', () => {
    for (const set of ['extAuthz.port=9797', 'extAuthz.port=9798', 'admin.port=9798', 'admin.port=9001'])
      expect(refused(CONF, set), set).to.include('must differ')
    expect(refused(CONF, 'extAuthz.port=9797', 'admin.port=9001')).to.equal('')
  })
})
