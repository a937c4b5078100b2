/** `templates/_checks.tpl` of the chart: values that contradict each other are refused; what a text suggests is a warning. */
import { spawnSync } from 'node:child_process'
import { expect } from 'chai'
import { before, describe, it } from 'mocha'
import { needTool } from '../support/tool.ts'
import { renderNotes } from './helm-notes.ts'
import { ofKind, ROOT, readManifests } from './kubernetes-rendered.ts'

const CHART = 'deploy/helm/micro-gw-authz'
const WSO2 = 'https://wso2.example.com:9443/oauth2/introspect'
const DISCOVERY = '/.well-known/oauth-authorization-server'

describe(`${CHART}: what would not serve`, function () {
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

  const strategyOf = (values: object, ...sets: readonly string[]): unknown =>
    Object(ofKind(readManifests(render(values, ...sets).printed), 'Deployment')[0]?.spec).strategy

  describe('is refused where config says it', () => {
    const refused = (keyManager: object, ...sets: readonly string[]): string =>
      render({ config: { keyManager } }, ...sets).said

    it('a port of the key manager that no rule lets out', () => {
      expect(refused({ introspectUrl: WSO2 })).to.include('port 9443')
      expect(refused({ introspectUrl: 'http://hydra:4445/x' })).to.include('port 4445')
      expect(refused({ introspectUrl: 'http://keycloak/x' })).to.include('port 80')
      expect(refused({ introspectUrl: 'https://as.example.com/x' })).to.equal('')
      expect(refused({ introspectUrl: 'https://as.example.com:443/x' })).to.equal('')
      expect(refused({ introspectUrl: WSO2, proxy: 'http://proxy:3128' })).to.equal('')
      expect(refused({ introspectUrl: WSO2 }, 'networkPolicy.enabled=false')).to.equal('')
    })

    it('of introspectUrl, else of discoveryUrl, else of serverUrl: the others are not used', () => {
      const [serverUrl, introspectUrl] = ['https://wso2.example.com:9443', 'https://as.example.com/introspect']
      expect(refused({ serverUrl })).to.include('port 9443')
      expect(refused({ serverUrl, introspectUrl })).to.equal('')
      expect(refused({ serverUrl, discoveryUrl: `https://as.example.com${DISCOVERY}` })).to.equal('')
      expect(refused({ introspectUrl, discoveryUrl: `${serverUrl}${DISCOVERY}` })).to.equal('')
      const discoveryUrl = `https://as.example.com:8443${DISCOVERY}`
      expect(refused({ serverUrl, discoveryUrl })).to.include('port 8443')
    })

    it('but not where a rule lets it out: by its port, by a range, or by none', () => {
      const rules = [
        { ports: [{ port: 8443, protocol: 'TCP' }] },
        { ports: [{ port: 443, endPort: 9443, protocol: 'TCP' }] },
        { to: [{ ipBlock: { cidr: '10.0.0.0/8' } }] },
      ]
      for (const rule of rules) {
        const values = { config: { keyManager: { introspectUrl: WSO2 } }, networkPolicy: { egress: [rule] } }
        expect(render(values).said, JSON.stringify(rule)).to.equal('')
      }
    })

    it('nor where the policy does not see the call, or a variable names another URL', () => {
      for (const host of ['localhost', '127.0.0.1', '[::1]'])
        expect(refused({ introspectUrl: `https://${host}:9443/x` }), host).to.equal('')
      expect(refused({ introspectUrl: 'https://localhost.example.com:9443/x' })).to.include('port 9443')
      const variable = (name: string): object => ({
        config: { keyManager: { introspectUrl: WSO2 } },
        extraEnv: [{ name, value: 'https://as.example.com' }],
      })
      expect(render(variable('KEYMANAGER_INTROSPECTURL')).said).to.equal('')
      expect(render(variable('KEYMANAGER_TIMEOUT')).said).to.include('port 9443')
    })

    const own = (oauth2: object): object => ({ security: { oauth2: { enabled: true, ...oauth2 } } })
    const direct = { directToken: { enabled: true }, refresh: { enabled: true } }
    const ALONE = ['replicas=1', 'strategy=Recreate']

    it('an own token with one refresh token, in more than one process', () => {
      const shared = [
        direct,
        { password: { enabled: true }, refresh: { enabled: true, stateFile: '/state/refresh-token' } },
      ]
      for (const oauth2 of shared) {
        expect(refused(own(oauth2))).to.include('replicas')
        expect(refused(own(oauth2), 'replicas=1')).to.include('strategy to Recreate')
        expect(refused(own(oauth2), 'replicas=2', 'strategy=Recreate')).to.include('replicas')
        expect(refused(own(oauth2), ...ALONE, 'autoscaling.enabled=true')).to.include('autoscaling')
        expect(refused(own(oauth2), ...ALONE)).to.equal('')
      }
    })

    it('but not where it is switched off, not renewed so, or of each process its own', () => {
      expect(refused(own({ ...direct, enabled: false }))).to.equal('')
      expect(refused(own({ ...direct, refresh: { enabled: false } }))).to.equal('')
      expect(refused(own({ password: { enabled: true }, refresh: { enabled: true } }))).to.equal('')
      const extraEnv = [{ name: 'KEYMANAGER_SECURITY_OAUTH2_ENABLED', value: 'false' }]
      expect(render({ config: { keyManager: own(direct) }, extraEnv }).said).to.equal('')
    })

    it('two listeners on one port', () => {
      for (const set of ['extAuthz.port=9797', 'extAuthz.port=9798', 'admin.port=9798', 'admin.port=9001'])
        expect(refused({}, set), set).to.include('must differ')
      expect(refused({}, 'extAuthz.port=9797', 'admin.port=9001')).to.equal('')
    })
  })

  describe('is warned of where a text suggests it, and changes nothing', () => {
    const CONF = '[keyManager]\nintrospectUrl = "https://as.example.com/introspect"'
    const urlOf = (url: string): string => `[keyManager]\nintrospectUrl = "${url}"`
    const warned = (microGwConf: string, ...sets: readonly string[]): string => {
      expect(render({ microGwConf }, ...sets).said).to.equal('')
      return /^WARNING: the text [\s\S]*/m.exec(renderNotes(helm, CHART, { microGwConf }, ...sets))?.[0] ?? ''
    }

    it('a port of the key manager that no rule lets out', () => {
      expect(warned(CONF)).to.equal('')
      expect(warned(urlOf(WSO2))).to.include('port 9443')
      expect(warned('[keyManager] # of WSO2\n\nserverUrl = \'https://wso2:9443\' # "x"')).to.include('port 9443')
      expect(warned(`${CONF}\n# serverUrl = "https://wso2:9443"\nserverUrl = "https://wso2:9443"`)).to.equal('')
      expect(warned(`${urlOf(WSO2)}\nproxy = "http://proxy:3128"`)).to.equal('')
      expect(warned(`${urlOf(WSO2)}\n[httpClients.proxy]\nenableInternalServices = true`)).to.equal('')
      expect(warned(urlOf(WSO2), 'networkPolicy.enabled=false')).to.equal('')
    })

    it("not of another table's serverUrl, and of discoveryUrl before a serverUrl that is left over", () => {
      const elsewhere = '[throttlingConfig.dataRetriever]\nserverUrl = "https://tm.example.com:9443"'
      expect(warned(`[keyManager]\nexternal = true\n${elsewhere}\n`)).to.equal('')
      const discovered = (port: number, left: number): string =>
        `[keyManager]\nserverUrl = "https://as:${left}"\ndiscoveryUrl = "https://as:${port}${DISCOVERY}"`
      expect(warned(discovered(443, 9443))).to.equal('')
      expect(warned(discovered(9443, 443))).to.include('port 9443')
    })

    const OAUTH2 = '[keymanager.security.oauth2'
    const own = (isOn: boolean, grant: string, more = ''): string =>
      `${CONF}\n${OAUTH2}]\nenabled = ${isOn}\n${OAUTH2}.${grant}]\nenabled = true\n` +
      `${OAUTH2}.refresh]\nclientSecret = ["a", "b"]\n\nenabled = true\n${more}[caching]\nenabled = true`

    it('an own token with one refresh token, in more than one process', () => {
      for (const text of [own(true, 'directToken'), own(true, 'password', 'stateFile = "/state/token"\n')]) {
        expect(warned(text)).to.include('replicas to 1').and.to.include('strategy to Recreate')
        expect(warned(text, 'replicas=1', 'strategy=Recreate')).to.equal('')
        expect(strategyOf({ microGwConf: text }, 'replicas=1')).to.have.property('type', 'RollingUpdate')
      }
      expect(strategyOf({ microGwConf: CONF }, 'strategy=Recreate')).to.deep.equal({ type: 'Recreate' })
    })

    it('not of one that is switched off, or of each process its own', () => {
      expect(warned(own(false, 'directToken'))).to.equal('')
      expect(warned(own(true, 'password'))).to.equal('')
      expect(warned(own(true, 'directToken').replace('\n\nenabled = true', '\nenabled = false'))).to.equal('')
    })

    it('[extAuthz.tls] where the chart says that there is none', () => {
      const text = `${CONF}\n[ extAuthz.tls ]\ncertFile = "/a"`
      expect(warned(text, 'extAuthz.tls.enabled=false')).to.include('[extAuthz.tls]')
      expect(warned(text)).to.equal('')
      expect(warned(`${CONF}\n# [extAuthz.tls]`, 'extAuthz.tls.enabled=false')).to.equal('')
    })
  })
})
