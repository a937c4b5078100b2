/** `deploy/kubernetes`: every overlay through kustomize, Kubernetes' schemas, and the product itself. */
import { copyFileSync, globSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { after, before, describe, it } from 'mocha'
import { runHealthcheck } from '../../src/commands/healthcheck.ts'
import { startTestApp } from '../support/app.ts'
import { makeCertificates } from '../support/certificates.ts'
import { captureIo } from '../support/io.ts'
import { needTool } from '../support/tool.ts'
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

const FOLDER = 'deploy/kubernetes'
const OVERLAYS = globSync('overlays/*/kustomization.yaml', { cwd: join(ROOT, FOLDER) })
  .map((path) => path.replace('/kustomization.yaml', ''))
  .sort()

const STANDALONE = [
  'ConfigMap',
  'Deployment',
  'HorizontalPodAutoscaler',
  'NetworkPolicy',
  'PodDisruptionBudget',
  'Service',
  'Service',
  'ServiceAccount',
  'ServiceMonitor',
]

/** What `kubectl apply -k` gives, by kind. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  'overlays/sidecar': ['ConfigMap', 'Deployment', 'PodMonitor'],
  'overlays/sidecar-unix-socket': ['ConfigMap', 'Deployment', 'PodMonitor'],
  'overlays/standalone': STANDALONE,
  'overlays/standalone-mesh': STANDALONE,
}

/** No key manager is there, and nothing may look for one. */
const ALONE = {
  'keyManager.introspectUrl': 'http://127.0.0.1:1/introspect',
  'keyManager.startupProbe': 'false',
}

describe('deploy/kubernetes', function () {
  this.timeout(60_000)
  let kustomize: string
  let schemas: ReturnType<typeof needSchemas>
  const rendered = new Map<string, string>()

  before(function () {
    kustomize = needTool(this, 'kustomize')
    schemas = needSchemas(this)
    for (const path of ['base', ...OVERLAYS]) rendered.set(path, run(kustomize, 'build', join(FOLDER, path)))
  })

  after(() => schemas?.remove())

  const textOf = (path: string): string => rendered.get(path) ?? ''

  it('the base is the configuration and nothing else', () => {
    const [map] = readManifests(textOf('base'))
    expect(map?.metadata.name, 'no hash in the name: it changes in place and is reloaded').to.equal('micro-gw-authz')
    expect(map?.data?.['micro-gw.conf']).to.equal(readFileSync(join(ROOT, FOLDER, 'base/micro-gw.conf'), 'utf8'))
  })

  it('Kubernetes and the Prometheus operator take all of it, strictly', () => {
    const texts = [...rendered.values()].join('\n---\n')
    expect(conform(schemas, texts)).to.equal(readManifests(texts).length).and.to.be.above(20)
  })

  it('every link of the README leads somewhere', () => {
    expect(brokenLinks(join(ROOT, FOLDER, 'README.md'))).to.deep.equal([])
  })

  it('every overlay is expected here', () => {
    expect(OVERLAYS).to.deep.equal(Object.keys(EXPECTED).sort())
  })

  it('every file is used by an overlay', () => {
    const files = globSync('**/*', { cwd: join(ROOT, FOLDER) })
      .filter((path) => statSync(join(ROOT, FOLDER, path)).isFile())
      .filter((path) => !/kustomization\.yaml$|README\.md$/.test(path))
    const texts = globSync('**/kustomization.yaml', { cwd: join(ROOT, FOLDER) }).map((path) =>
      readFileSync(join(ROOT, FOLDER, path), 'utf8'),
    )
    const unused = files.filter((file) => {
      const name = file.replace(/^.*\//, '')
      return !texts.some((text) => new RegExp(`(?:- |path: )${name}$`, 'm').test(text))
    })
    expect(unused).to.deep.equal([])
  })

  for (const overlay of OVERLAYS) {
    describe(overlay, () => {
      let manifests: readonly Manifest[]
      let workload: Workload
      let effective: Effective

      before(() => {
        manifests = readManifests(textOf(overlay))
        workload = workloadOf(manifests)
        effective = effectiveConfig(manifests, workload)
      })

      after(() => effective?.remove())

      it('prints what it should', () =>
        expect(manifests.map(({ kind }) => kind).sort()).to.deep.equal(EXPECTED[overlay]))

      it('the product takes its configuration', () => {
        expect(effective.exit, effective.said).to.equal(0)
        const isOpen = overlay.endsWith('-mesh')
        expect(effective.said).to.include(`usable: 0 errors, ${isOpen ? 1 : 0} warnings`)
        if (isOpen) expect(effective.said).to.include('without a client certificate')
        expect(effective.config.keyManager.security.kind).to.equal('basic')
      })

      it('runs restricted, in every container', () => expectRestricted(workload.pod))
      it('probes, ports, drain and secrets fit what the product does', () => expectPodAgrees(workload, effective))
      it('selectors, ports and names meet', () => expectSelected(manifests, workload))
    })
  }

  describe('as a sidecar', () => {
    for (const overlay of ['overlays/sidecar', 'overlays/sidecar-unix-socket']) {
      it(`${overlay}: starts before Envoy, ends after it, and listens inside the pod only`, () => {
        const manifests = readManifests(textOf(overlay))
        const workload = workloadOf(manifests)
        const { pod, container } = workload
        expect(pod.initContainers?.[0]).to.equal(container)
        expect(container.restartPolicy).to.equal('Always')
        const effective = effectiveConfig(manifests, workload)
        try {
          const { listen, drainHealth } = effective.config.extAuthz
          expect(listen).to.have.length(1)
          if (listen[0]?.kind === 'tcp') expect(listen[0].host).to.equal('127.0.0.1')
          else expect(container.env).to.deep.include({ name: 'EXTAUTHZ_SOCKETMODE', value: '0666' })
          expect(drainHealth, 'Envoy must not lose it while it drains').to.equal(false)
        } finally {
          effective.remove()
        }
      })
    }

    it('Envoy mounts the folder of the socket, and nobody else does', () => {
      const { pod, container } = workloadOf(readManifests(textOf('overlays/sidecar-unix-socket')))
      const listen = container.env?.find(({ name }) => name === 'EXTAUTHZ_LISTEN')?.value
      const [mount] = (container.volumeMounts ?? []).filter(({ mountPath }) => listen?.startsWith(`unix:${mountPath}/`))
      const others = pod.containers.filter(({ volumeMounts }) => volumeMounts?.some(({ name }) => name === mount?.name))
      expect(others.map(({ name }) => name)).to.deep.equal(['envoy'])
      expect(others[0]?.volumeMounts).to.deep.include({ name: mount?.name, mountPath: mount?.mountPath })
    })

    it('the product binds the socket in the mounted folder, and says it is ready', async () => {
      const { app, ready, ask } = await start('overlays/sidecar-unix-socket', 'env')
      try {
        const [address = ''] = app.addresses.extAuthz
        expect(address).to.match(/^unix:.*\/run\/micro-gw-authz\/authz\.sock$/)
        expect(statSync(address.slice('unix:'.length)).mode & 0o777).to.equal(0o666)
        expect(await ready()).to.equal(200)
        expect(await ask()).to.equal(0)
      } finally {
        await app.close()
      }
    })
  })

  describe('as a service', () => {
    it('in a mesh the plain gRPC probe of kubelet is answered', async () => {
      const { app, ready, ask } = await start('overlays/standalone-mesh', '0.0.0.0:0')
      try {
        expect(await ready()).to.equal(200)
        expect(await ask()).to.equal(0)
        expect(app.logs.join('')).to.include('ext_authz_open_port')
      } finally {
        await app.close()
      }
    })

    it('a mesh leaves the admin port to kubelet and Prometheus', () => {
      const manifests = readManifests(textOf('overlays/standalone-mesh'))
      const { metadata } = ofKind(manifests, 'Deployment')[0]?.spec.template ?? {}
      const { ports } = workloadOf(manifests).container
      const admin = ports?.find(({ name }) => name === 'metrics')?.containerPort
      expect(metadata?.annotations).to.deep.equal({ 'traffic.sidecar.istio.io/excludeInboundPorts': `${admin}` })
    })

    it('with mutual TLS it is not, which is why that overlay probes by HTTP', async () => {
      const { app, ready, ask } = await start('overlays/standalone', '0.0.0.0:0')
      try {
        expect(await ready()).to.equal(200)
        expect(await ask()).to.equal(1)
        expect(app.logs.join('')).not.to.include('ext_authz_open_port')
      } finally {
        await app.close()
      }
    })

    it('gRPC health leaves at once on SIGTERM, and one pod goes at a time', () => {
      const manifests = readManifests(textOf('overlays/standalone'))
      expect(workloadOf(manifests).container.env).to.deep.include({ name: 'EXTAUTHZ_DRAINHEALTH', value: 'true' })
      expect(ofKind(manifests, 'PodDisruptionBudget')[0]?.spec.maxUnavailable).to.equal(1)
    })
  })

  it('the checks would find what is wrong', () => {
    const text = textOf('overlays/standalone')
    const broken = (from: string, to: string): string => {
      expect(text).to.include(from)
      return text.replaceAll(from, to)
    }
    const check = (changed: string): void => {
      const manifests = readManifests(changed)
      const workload = workloadOf(manifests)
      expectRestricted(workload.pod)
      const effective = effectiveConfig(manifests, workload)
      try {
        expectPodAgrees(workload, effective)
        expectSelected(manifests, workload)
      } finally {
        effective.remove()
      }
    }
    check(text)
    expect(() => conform(schemas, broken('minReadySeconds:', 'minReadySecond:'), ['1.37.0'])).to.throw('minReadySecond')
    expect(() => conform(schemas, broken('scrapeTimeout:', 'scrapeTimout:'), ['1.37.0'])).to.throw('scrapeTimout')
    expect(() => check(broken('introspectUrl =', 'introspectURL ='))).to.throw('introspectURL')
    expect(() => check(broken('0.0.0.0:9001', '0.0.0.0:9002'))).to.throw()
    expect(() => check(broken('terminationGracePeriodSeconds: 40', 'terminationGracePeriodSeconds: 26'))).to.throw(
      'drain',
    )
    expect(() => check(broken('readOnlyRootFilesystem: true', 'readOnlyRootFilesystem: false'))).to.throw('readOnly')
    expect(() => check(broken('targetPort: grpc', 'targetPort: http'))).to.throw('Service')
    expect(() => check(broken('value: /run/secrets/micro-gw-authz-tls', 'value: /run/secrets/tls'))).to.throw(
      'does not exist',
    )
  })

  /** The product, configured by what was rendered; `listen` as the ports are not ours to take, `env`: as it is. */
  async function start(overlay: string, listen: string) {
    const manifests = readManifests(textOf(overlay))
    const effective = effectiveConfig(manifests, workloadOf(manifests))
    const certificates = makeCertificates()
    const tls = effective.config.extAuthz.tls
    if (tls !== undefined) {
      copyFileSync(certificates.serverCertFile, tls.certFile)
      copyFileSync(certificates.serverKeyFile, tls.keyFile)
      copyFileSync(certificates.caFile, tls.clientCaFile ?? '')
    }
    const running = await startTestApp(readFileSync(effective.conf, 'utf8'), {
      env: effective.env,
      flags: { ...ALONE, 'extAuthz.listen': listen === 'env' ? (effective.env['EXTAUTHZ_LISTEN'] ?? '') : listen },
    })
    const close = async (): Promise<void> => {
      await running.close()
      effective.remove()
      certificates.remove()
    }
    const address = (running.app.addresses.extAuthz[0] ?? '').replace('0.0.0.0', '127.0.0.1')
    return {
      app: { addresses: running.app.addresses, logs: running.logs, close },
      ready: async () => (await fetch(`http://${running.app.addresses.admin}/readyz`)).status,
      /** As kubelet's gRPC probe does: without TLS. The exit code of `healthcheck`. */
      ask: () => runHealthcheck(['--address', address], {}, captureIo()),
    }
  }
})
