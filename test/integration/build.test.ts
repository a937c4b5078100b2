/** The build as users have it, outside the tree and written by nobody: every command, and what it loads late. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import {
  cpSync,
  globSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { after, afterEach, before, describe, it } from 'mocha'
import { bundle, LEFT_OUT, LICENCES } from '../../scripts/bundle.ts'
import { basicConfig } from '../support/app.ts'
import { oauth2Config, startAuthority } from '../support/authority.ts'
import { makeCertificates } from '../support/certificates.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly version: string
  readonly dependencies: Readonly<Record<string, string>>
}

const LISTENERS = `
[extAuthz]
listen = "127.0.0.1:0"
drainDelay = "0s"
[admin]
listen = "127.0.0.1:0"
localListen = "127.0.0.1:0"
`

interface Served {
  /** Of the log line `started`. */
  readonly extAuthz: readonly string[]
  readonly admin: string
  readonly localAdmin: string
  output(): string
  /** Sends SIGTERM; the exit status. */
  stop(): Promise<number | null>
}

describe('the build', function () {
  this.timeout(60_000)

  let folder: string
  let home: string
  let cli: string
  let keyManager: ScriptedKeyManager
  const running: ChildProcess[] = []

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'micro-gw-build-'))
    home = join(folder, 'home')
    mkdirSync(home)
    const app = join(folder, 'app')
    await bundle(join(app, 'dist'))
    cli = join(app, 'dist', 'cli.js')
    for (const name of ['package.json', 'proto']) cpSync(join(ROOT, name), join(app, name), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules'), join(app, 'node_modules'))
    spawnSync('chmod', ['-R', 'a-w', app])
    keyManager = await startKeyManager()
    keyManager.tokens.set('good-token', { active: true, sub: 'alice', client_id: 'shop' })
  })
  afterEach(() => {
    for (const child of running.splice(0)) child.kill('SIGKILL')
  })
  after(async () => {
    await keyManager?.close()
    if (folder === undefined) return
    spawnSync('chmod', ['-R', 'u+w', join(folder, 'app')])
    rmSync(folder, { recursive: true, force: true })
  })

  const configured = (toml: string): string => {
    const file = join(home, 'micro-gw.conf')
    writeFileSync(file, toml)
    return file
  }
  /** Not `spawnSync`: the key manager answers in this process. */
  async function run(args: readonly string[], input = '', env: Readonly<Record<string, string>> = {}) {
    const child = spawn(process.execPath, [cli, ...args], { cwd: home, env })
    running.push(child)
    child.stdin.on('error', () => undefined).end(input)
    const [out, err, exit] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise<number | null>((resolve) => child.once('close', resolve)),
    ])
    return { exit, out, err }
  }

  async function serve(toml: string, env: Readonly<Record<string, string>> = {}): Promise<Served> {
    const args = [cli, '--config', configured(toml + LISTENERS)]
    const child = spawn(process.execPath, args, { cwd: home, env, stdio: ['ignore', 'pipe', 'pipe'] })
    running.push(child)
    let output = ''
    const exited = new Promise<number | null>((resolve) => child.once('close', resolve))
    const started = await new Promise<string>((resolve, reject) => {
      const take = (more: string): void => {
        output += more
        const line = output.split('\n').find((candidate) => candidate.includes('"event":"started"'))
        if (line !== undefined) resolve(line)
      }
      child.stdout.setEncoding('utf8').on('data', take)
      child.stderr.setEncoding('utf8').on('data', take)
      void exited.then((code) => reject(new Error(`ended with ${code}: ${output}`)))
    })
    return {
      ...JSON.parse(started),
      output: () => output,
      stop() {
        child.kill('SIGTERM')
        return exited
      },
    }
  }

  const check = ({ extAuthz: [address = ''] }: Served, token = 'good-token') =>
    run(['check', '--address', address, '--header', `authorization: Bearer ${token}`])

  it('version, help and an unknown command', async () => {
    expect(await run(['version'])).to.include({
      exit: 0,
      out: `micro-gw-authz ${manifest.version} (node ${process.version})\n`,
    })
    expect((await run(['--help'])).out).to.match(/^micro-gw-authz: /)
    expect((await run(['nothing'])).exit).to.equal(2)
  })

  it('encrypt, and check-config of what it wrote', async () => {
    const env = { MICRO_GW_AUTHZ_CIPHER_SECRET: 'a cipher secret' }
    const { exit, out } = await run(['encrypt'], 'gateway-secret\n', env)
    expect(exit).to.equal(0)
    const toml = basicConfig(keyManager.url).replace('"gateway-secret"', `"${out.trim()}"`)
    expect(toml).to.contain('@encrypted:{')
    expect(await run(['check-config', '--config', configured(toml)], '', env)).to.include({ exit: 0, err: '' })
    const broken = await run(['check-config', '--config', configured('[keyManager]\nexternal = "maybe"\n')])
    expect(broken.exit).to.equal(1)
    expect(broken.out + broken.err).to.contain('keyManager.external')
  })

  it('introspect', async () => {
    const args = ['introspect', '--config', configured(basicConfig(keyManager.url))]
    expect(await run(args, 'good-token')).to.include({ exit: 0, err: '' })
    expect((await run(args, 'bad-token')).exit).to.equal(1)
  })

  it('serve, check, healthcheck, the admin listeners, and nothing is written', async () => {
    const before = contents(folder)
    const served = await serve(basicConfig(keyManager.url))
    expect(await check(served)).to.include({ exit: 0, err: '' })
    expect((await check(served, 'bad-token')).exit).to.equal(1)
    expect(await run(['healthcheck', '--address', served.extAuthz[0] ?? ''])).to.include({ exit: 0 })
    expect(await run(['healthcheck', '--admin', served.admin])).to.include({ exit: 0 })

    const metrics = await (await fetch(`http://${served.admin}/metrics`)).text()
    expect(metrics).to.contain('microgw_checks_total{decision="allow",reason="allowed"} 1')
    expect(metrics).to.match(/^process_cpu_seconds_total [\d.]+$/m)
    const page = await fetch(`http://${served.localAdmin}/`)
    expect(page.status).to.equal(200)
    expect(page.headers.get('content-security-policy')).to.contain('style-src')
    expect(await page.text()).to.contain('<style>')

    expect(await served.stop(), served.output()).to.equal(0)
    expect((await run(['healthcheck', '--address', served.extAuthz[0] ?? ''])).exit).to.equal(1)
    expect(contents(folder)).to.deep.equal([...before, 'home/micro-gw.conf'].filter(unique).sort())
  })

  it('serve in several processes', async () => {
    const served = await serve(basicConfig(keyManager.url), { extAuthz_workers: '2' })
    expect(await check(served)).to.include({ exit: 0, err: '' })
    const { workers } = (await (await fetch(`http://${served.localAdmin}/status`)).json()) as {
      readonly workers: readonly { readonly answers: boolean }[]
    }
    expect(workers.map(({ answers }) => answers)).to.deep.equal([true, true])
    expect(await served.stop(), served.output()).to.equal(0)
  })

  it('loads got for the own token', async () => {
    const authority = await startAuthority()
    try {
      const served = await serve(oauth2Config(authority, 'clientCredential'))
      expect(await check(served)).to.include({ exit: 0, err: '' })
      expect(authority.tokenRequests).to.have.length(1)
      expect(await served.stop(), served.output()).to.equal(0)
    } finally {
      await authority.close()
    }
  })

  it('reaches a TLS key manager through a proxy', async () => {
    const certificates = makeCertificates({ serverNames: 'DNS:keymanager.test' })
    const secure = await startKeyManager({ tls: certificates.server })
    secure.tokens.set('good-token', { active: true, sub: 'alice' })
    const proxied: string[] = []
    const proxy = createServer().on('connect', ({ url = '' }, socket) => {
      proxied.push(url)
      const upstream = connect(Number(url.split(':')[1]), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        upstream.pipe(socket).pipe(upstream)
      })
      upstream.on('error', () => socket.destroy())
      socket.on('error', () => upstream.destroy())
    })
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
    const { port } = proxy.address() as AddressInfo
    try {
      const served = await serve(basicConfig(secure.url.replace('127.0.0.1', 'keymanager.test')), {
        keyManager_proxy: `http://127.0.0.1:${port}`,
        keyManager_tls_caFile: certificates.caFile,
      })
      expect(await check(served)).to.include({ exit: 0, err: '' })
      expect(proxied).to.include(`keymanager.test:${secure.port}`)
      expect(await served.stop(), served.output()).to.equal(0)
    } finally {
      proxy.close()
      await secure.close()
      certificates.remove()
    }
  })

  it("makes its spans by the operator's OpenTelemetry API", async () => {
    writeFileSync(join(home, 'sdk.mjs'), SDK)
    symlinkSync(join(ROOT, 'node_modules'), join(home, 'node_modules'))
    const served = await serve(basicConfig(keyManager.url), { NODE_OPTIONS: `--import ${join(home, 'sdk.mjs')}` })
    expect((await check(served)).exit).to.equal(0)
    expect(await served.stop()).to.equal(0)
    expect(served.output()).to.contain('span of envoy.service.auth.v3.Authorization/Check\n')
    expect(served.output()).to.contain('span of POST\n')
  })

  it('names exactly the versions of the packages it holds, with their licences', () => {
    const licences = readFileSync(join(folder, 'app', 'dist', LICENCES), 'utf8')
    const held = new Map(
      [...licences.matchAll(/^== (\S+)@(\S+) \(\S+\)\n\n\S/gm)].map(([, name = '', version = '']) => [name, version]),
    )
    const named = Object.entries(manifest.dependencies).filter(([name]) => !LEFT_OUT.includes(name))
    expect(named.map(([name]) => [name, held.get(name)])).to.deep.equal(named)
    expect(held.size).to.equal([...licences.matchAll(/^== /gm)].length)
    expect(LEFT_OUT.filter((name) => !(name in manifest.dependencies) || held.has(name))).to.deep.equal([])
  })
})

/** The API's own registration; a span says its name and records nothing. */
const SDK = `
import { trace } from '@opentelemetry/api'
const context = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', traceFlags: 1 }
const startSpan = (name) => {
  process.stderr.write('span of ' + name + '\\n')
  return trace.wrapSpanContext(context)
}
trace.setGlobalTracerProvider({ getTracer: () => ({ startSpan }) })
`

const unique = (path: string, at: number, all: readonly string[]): boolean => all.indexOf(path) === at

/** Paths, links not followed; of the build with size and time of the last change. */
function contents(folder: string): readonly string[] {
  return globSync('{home,app,app/dist}/{*,chunks/*}', { cwd: folder })
    .filter(unique)
    .map((path) => {
      const { size, mtimeMs } = lstatSync(join(folder, path))
      return path.startsWith('app/') ? `${path} ${size} ${mtimeMs}` : path
    })
    .sort()
}
