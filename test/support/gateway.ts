/**
 * Envoy configuration that a control plane or a patch made, run on this machine: the real sidecar on the example's own
 * micro-gw.conf, a real Envoy, an upstream that echoes. Only addresses and files are changed.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, type RunningEnvoy, startEnvoyText, validateEnvoy } from '../../scripts/envoy.ts'
import { runCheckConfig } from '../../src/commands/check-config.ts'
import { type Sidecar, startSidecar } from '../envoy/sidecar.ts'
import { startUpstream, stopUpstream, type Upstream } from '../envoy/traffic.ts'
import { type Certificates, makeCertificates } from './certificates.ts'
import { captureIo } from './io.ts'
import { type ScriptedKeyManager, startKeyManager } from './key-manager.ts'
import { rewrite } from './rewrite.ts'

export interface GatewayPlaces {
  readonly dir: string
  /** Where Envoy listens. */
  readonly port: number
  readonly adminPort: number
  readonly sidecarPort: number
  readonly upstreamPort: number
  readonly keyManagerPort: number
}

export interface RunningGateway {
  readonly port: number
  readonly envoy: RunningEnvoy
  readonly keyManager: ScriptedKeyManager
  /** From now on no Check is answered. */
  stopSidecar(): Promise<void>
  close(): Promise<void>
}

export interface GatewayParts {
  readonly binary: string
  /** Text of the example's micro-gw.conf. */
  readonly conf: string
  /** Addresses and paths in it to replace. */
  confAddresses(places: GatewayPlaces): Readonly<Record<string, string>>
  /** What the example sets by the container's environment, by key. */
  settings?(places: GatewayPlaces): Readonly<Record<string, string>>
  /** The bootstrap, its `admin` included. */
  bootstrap(places: GatewayPlaces): object
}

/** Rejects with what Envoy says where `--mode validate` does not take the bootstrap. */
export async function startGateway(parts: GatewayParts): Promise<RunningGateway> {
  const dir = mkdtempSync(join(tmpdir(), 'micro-gw-gateway-'))
  const keyManager = await startKeyManager()
  const upstream: Upstream = await startUpstream()
  let sidecar: Sidecar | undefined
  let envoy: RunningEnvoy | undefined
  const close = async (): Promise<void> => {
    await envoy?.stop()
    await sidecar?.close()
    await keyManager.close()
    await stopUpstream(upstream)
    rmSync(dir, { recursive: true, force: true })
  }
  try {
    const places: GatewayPlaces = {
      dir,
      port: await freePort(),
      adminPort: await freePort(),
      sidecarPort: await freePort(),
      upstreamPort: upstream.port,
      keyManagerPort: keyManager.port,
    }
    const text = JSON.stringify(parts.bootstrap(places))
    const valid = validateEnvoy(parts.binary, text)
    if (!valid.ok) throw new Error(`Envoy does not take it: ${valid.output}`)
    const file = join(dir, 'micro-gw.conf')
    writeFileSync(file, rewrite(parts.conf, parts.confAddresses(places)))
    sidecar = await startSidecar(file, parts.settings?.(places) ?? {})
    envoy = await startEnvoyText({ binary: parts.binary, text, adminPort: places.adminPort })
    const stopSidecar = async (): Promise<void> => sidecar?.close()
    return { port: places.port, envoy, keyManager, stopSidecar, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** The status of a POST, to the host that the examples serve. */
export function post(port: number, path: string, token: string): Promise<number> {
  const headers = { host: 'api.example.com', authorization: `Bearer ${token}` }
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, path, method: 'POST', headers }, (incoming) => {
      incoming.resume()
      resolve(incoming.statusCode ?? 0)
    })
    outgoing.on('error', reject).end()
  })
}

/** What check-config says about an example's micro-gw.conf besides notices; its secrets and certificates are put in place. */
export async function confProblems(conf: string, files: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const dir = mkdtempSync(join(tmpdir(), 'micro-gw-conf-'))
  try {
    const file = join(dir, 'micro-gw.conf')
    writeFileSync(file, rewrite(conf, files))
    const io = captureIo()
    const code = await runCheckConfig(['--config', file], {}, io)
    const lines = io
      .output()
      .split('\n')
      .filter((line) => /: (?:error|warning):/.test(line))
    return code === 0 ? lines : [`exit ${code}`, ...lines]
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

export interface TlsFiles {
  /** The paths that deploy/kubernetes/overlays/standalone names, to files that are there. */
  readonly paths: Readonly<Record<string, string>>
  readonly certificates: Certificates
  remove(): void
}

/** The certificates of a service: its own, and the authority of its callers'. */
export function tlsFiles(): TlsFiles {
  const certificates = makeCertificates({ serverNames: 'DNS:micro-gw-authz.micro-gw-authz.svc' })
  return {
    paths: {
      '/run/secrets/micro-gw-authz-tls/tls.crt': certificates.serverCertFile,
      '/run/secrets/micro-gw-authz-tls/tls.key': certificates.serverKeyFile,
      '/run/secrets/micro-gw-authz-tls/ca.crt': certificates.caFile,
    },
    certificates,
    remove: () => certificates.remove(),
  }
}
