/** What `npm publish` would send: its files, that it runs where it is installed, and the list of what is in it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, posix } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { after, before, describe, it } from 'mocha'
import { LICENCES } from '../../scripts/bundle.ts'
import { freePort } from '../../scripts/envoy.ts'
import { basicConfig } from '../support/app.ts'
import { connectChecks, httpCheck } from '../support/check-client.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'
import { runAsUser, userEnvironment } from '../support/npm.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const readJson = (path: string): unknown => JSON.parse(readFileSync(join(ROOT, path), 'utf8'))

interface Manifest {
  readonly version: string
  readonly bin: Readonly<Record<string, string>>
  readonly scripts: Readonly<Record<string, string>>
}
const manifest = readJson('package.json') as Manifest

interface Locked {
  readonly version?: string
  readonly dev?: boolean
  readonly optional?: boolean
}
const { packages } = readJson('package-lock.json') as { readonly packages: Readonly<Record<string, Locked>> }

/** `name@version` of what the lock file installs, the package itself left out. */
function locked(wanted: (entry: Locked) => boolean): ReadonlySet<string> {
  const found = Object.entries(packages).filter(([path, entry]) => path !== '' && wanted(entry))
  return new Set(found.map(([path, { version }]) => `${path.split('node_modules/').at(-1)}@${version}`))
}

describe('npm pack', function () {
  // npm install, out of its cache or not.
  this.timeout(150_000)

  let folder: string
  let home: string
  let files: readonly string[]
  let keyManager: ScriptedKeyManager

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'micro-gw-pack-'))
    home = join(folder, 'home')
    mkdirSync(home)
    keyManager = await startKeyManager()
    // The suite has built dist/ just before: building it again under the other tests would take it away from them.
    const command = ['npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', folder]
    const packed: unknown = JSON.parse(runAsUser(command, ROOT))
    files = filesOf(packed)
    writeFileSync(join(home, 'package.json'), '{ "private": true }\n')
    const [tarball = ''] = globSync('*.tgz', { cwd: folder })
    const quiet = ['--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline']
    runAsUser(['npm', 'install', ...quiet, '--ignore-scripts', join(folder, tarball)], home)
  })

  after(async () => {
    await keyManager?.close()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  it('builds first', () => {
    expect(manifest.scripts['prepack']).to.equal('npm run build')
  })

  it('holds what runs, and nothing else', () => {
    const built = [`dist/${LICENCES}`, ...reachedFrom('dist/cli.js')]
    const protos = globSync('proto/**/*.proto', { cwd: ROOT })
    const others = ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json']
    expect([...files].sort()).to.deep.equal([...built, ...protos, ...others].sort())
  })

  it('is plain JavaScript that names no source map and no TypeScript file', () => {
    const installed = join(home, 'node_modules', 'micro-gw-authz', 'dist')
    const odd = globSync('**/*.js', { cwd: installed }).filter((path) =>
      /sourceMappingURL|(?:from |import\()"\.[^"\n]*\.ts"/.test(readFileSync(join(installed, path), 'utf8')),
    )
    expect(odd).to.deep.equal([])
  })

  it('publint has nothing to say about it', () => {
    const publint = join(ROOT, 'node_modules', '.bin', 'publint')
    const said = runAsUser([publint, 'run', '--strict', join(home, 'node_modules', 'micro-gw-authz')], home)
    expect(said).to.match(/All good/)
  })

  it('runs where it is installed: version, check-config, and a Check', async () => {
    const ports = { grpc: await freePort(), admin: await freePort(), local: await freePort() }
    const listeners = `
[extAuthz]
listen = "127.0.0.1:${ports.grpc}"
drainDelay = "100ms"
[admin]
listen = "127.0.0.1:${ports.admin}"
localListen = "127.0.0.1:${ports.local}"
`
    writeFileSync(join(home, 'micro-gw.conf'), basicConfig(keyManager.url, listeners))
    keyManager.tokens.set('good-token', { active: true, sub: 'alice' })

    expect(runAsUser(['npx', 'micro-gw-authz', 'version'], home)).to.contain(manifest.version)
    const checked = runAsUser(['npx', 'micro-gw-authz', 'check-config', '--config', 'micro-gw.conf'], home)
    expect(checked).not.to.match(/NOT usable/)

    // Its own binary: npx does not pass a signal on.
    const bin = join(home, 'node_modules', '.bin', 'micro-gw-authz')
    const sidecar = spawn(bin, ['--config', 'micro-gw.conf'], { cwd: home, env: userEnvironment(), stdio: 'ignore' })
    const exited = new Promise<number | null>((resolve) => sidecar.once('exit', resolve))
    const client = connectChecks(`127.0.0.1:${ports.grpc}`)
    try {
      await isReady(`http://127.0.0.1:${ports.admin}/readyz`, sidecar)
      const allowed = await client.check(httpCheck({ headers: { authorization: 'Bearer good-token' } }))
      expect(allowed.ok_response?.headers?.map(({ header }) => header?.key)).to.include('x-auth-subject')
      sidecar.kill('SIGTERM')
      expect(await exited).to.equal(0)
    } finally {
      client.close()
      sidecar.kill('SIGKILL')
      await exited
    }
  })
})

describe('npm run sbom', () => {
  it('lists in CycloneDX every production dependency with its version, and no other', function () {
    this.timeout(60_000)
    const bom: unknown = JSON.parse(runAsUser(['npm', 'run', '--silent', 'sbom'], ROOT))
    const { bomFormat, specVersion, metadata, components } = bom as {
      readonly bomFormat: string
      readonly specVersion: string
      readonly metadata: {
        readonly component: { readonly name: string; readonly version: string; readonly type: string }
      }
      readonly components: readonly { readonly name: string; readonly version: string; readonly purl: string }[]
    }
    expect({ bomFormat, specVersion }).to.deep.equal({ bomFormat: 'CycloneDX', specVersion: '1.5' })
    expect(metadata.component).to.include({ name: 'micro-gw-authz', type: 'application', version: manifest.version })
    const listed = new Set(components.map(({ name, version }) => `${name}@${version}`))
    expect(listed).to.deep.equal(locked(({ dev }) => dev !== true))
    const development = locked(({ dev }) => dev === true)
    expect([...listed].filter((part) => development.has(part))).to.deep.equal([])
    expect(components.filter(({ purl }) => !purl.startsWith('pkg:npm/'))).to.deep.equal([])
  })
})

/** The file and all that it imports, and these import, by relative names. */
function reachedFrom(entry: string): readonly string[] {
  const reached = new Set([entry])
  for (const file of reached) {
    const text = readFileSync(join(ROOT, file), 'utf8')
    const named = text.matchAll(/(?:^import |^\} from |\bimport\()"(\.[^"]+)"/gm)
    for (const [, name = ''] of named) reached.add(posix.join(dirname(file), name))
  }
  return [...reached]
}

/** Older npm prints a list, newer an object by package name. */
function filesOf(packed: unknown): readonly string[] {
  const [first] = Object.values(packed as Record<string, { readonly files: readonly { readonly path: string }[] }>)
  return (first?.files ?? []).map(({ path }) => path)
}

async function isReady(url: string, child: ChildProcess): Promise<void> {
  const giveUpAt = Date.now() + 30_000
  while (Date.now() < giveUpAt && child.exitCode === null) {
    const ready = await fetch(url).then(
      (answer) => answer.ok,
      () => false,
    )
    if (ready) return
    await wait(50)
  }
  throw new Error('the sidecar did not start')
}
