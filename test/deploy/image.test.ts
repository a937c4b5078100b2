/** The image: what the Dockerfile says, and the product started out of the file tree that its steps make. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { after, before, describe, it } from 'mocha'
import { IMAGE } from '../../bench/servers/node-settings.ts'
import { LICENCES } from '../../scripts/bundle.ts'
import { freePort } from '../../scripts/envoy.ts'
import { basicConfig } from '../support/app.ts'
import { connectChecks, httpCheck } from '../support/check-client.ts'
import {
  contextFilter,
  execForm,
  labelsOf,
  lastOf,
  modulesAbove,
  parseDockerfile,
  repeatSteps,
  type Stage,
} from '../support/dockerfile.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'
import { userEnvironment } from '../support/npm.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const manifest: { readonly version: string } = JSON.parse(read('package.json'))

/** The image's user, where the test may become another one. */
const USER = 65532
const IDENTITY = process.getuid?.() === 0 ? { uid: USER, gid: USER } : {}

const dockerfile = parseDockerfile(read('deploy/docker/Dockerfile'))
const final: Stage = dockerfile.stages.at(-1) ?? { from: '', name: undefined, instructions: [] }

function command(text: string | undefined): readonly string[] {
  const words = execForm(text ?? '')
  if (words === undefined) throw new Error(`not in exec form: ${text}`)
  return words
}

const entryPoint = (): readonly string[] => command(lastOf(final, 'ENTRYPOINT'))
const healthcheck = (): readonly string[] => command(/CMD (\[.*)$/.exec(lastOf(final, 'HEALTHCHECK') ?? '')?.[1])

describe('deploy/docker/Dockerfile', () => {
  it('pins both bases by the digest of an ARG, and ends on distroless Node 24', () => {
    for (const { from } of dockerfile.stages) expect(from).to.match(/^[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}$/)
    expect(Object.values(dockerfile.args)).to.include.members(dockerfile.stages.map(({ from }) => from))
    expect(final.from).to.match(/\/distroless\/nodejs24-debian\d+:nonroot@/)
  })

  it('runs by a numeric user, with an entry point and a health check that need no shell', () => {
    expect(lastOf(final, 'USER')).to.equal(`${USER}:${USER}`)
    expect(entryPoint()).to.deep.equal(['/nodejs/bin/node', ...IMAGE.flags, '/app/dist/cli.js'])
    expect(healthcheck()).to.deep.equal(['/nodejs/bin/node', '/app/dist/cli.js', 'healthcheck'])
    expect(lastOf(final, 'HEALTHCHECK')).to.match(/--interval=\d+s --timeout=\d+s --start-period=\d+s --retries=\d+/)
    const needShell = final.instructions.filter(({ name }) => ['RUN', 'SHELL', 'CMD', 'ADD'].includes(name))
    expect(needShell).to.deep.equal([])
  })

  it('starts plain JavaScript: no flag that strips types', () => {
    const flags = [...entryPoint(), ...final.instructions.map(({ text }) => text)].join(' ')
    expect(flags).not.to.match(/strip-types|NODE_OPTIONS|\.ts\b|--import|--loader/)
  })

  it('has the labels of an OCI image, and the version of package.json', () => {
    const labels = labelsOf(final)
    const names = ['title', 'description', 'licenses', 'version', 'revision']
    for (const name of names)
      expect(labels[`org.opencontainers.image.${name}`], name).to.be.a('string').that.is.not.empty
    expect(labels['org.opencontainers.image.version']).to.equal(manifest.version)
  })

  it('takes no secret: no ARG or ENV but what is named here', () => {
    const named = dockerfile.stages.flatMap(({ instructions }) =>
      instructions.filter(({ name }) => name === 'ARG' || name === 'ENV').map(({ text }) => text.split('=')[0]),
    )
    expect(named).to.have.members(['VERSION', 'REVISION', 'NODE_ENV'])
  })

  it('.dockerignore lets through what is copied, and nothing else', () => {
    const copied = dockerfile.stages.flatMap(({ instructions }) =>
      instructions
        .filter(({ name, text }) => name === 'COPY' && !text.startsWith('--from='))
        .flatMap(({ text }) => text.split(' ').slice(0, -1)),
    )
    const keeps = contextFilter(read('.dockerignore'))
    const sent = readdirSync(ROOT).filter(keeps)
    expect(new Set(copied)).to.deep.equal(new Set(sent))
    expect(['.git', 'node_modules', 'dist', 'deploy', 'test', '.tools'].filter(keeps)).to.deep.equal([])
  })
})

describe('the image', function () {
  // npm ci, out of its cache or not.
  this.timeout(180_000)

  let folder: string
  let root: string
  let keyManager: ScriptedKeyManager

  before(async () => {
    keyManager = await startKeyManager()
    folder = mkdtempSync(join(tmpdir(), 'micro-gw-image-'))
    chmodSync(folder, 0o755)
    root = repeatSteps(dockerfile, { context: ROOT, folder, env: userEnvironment() })
    rmSync(join(folder, 'stage-0'), { recursive: true })
    // The base image's Node.
    mkdirSync(join(root, 'nodejs', 'bin'), { recursive: true })
    copyFileSync(process.execPath, join(root, 'nodejs', 'bin', 'node'))
    // Readable by everybody and written by nobody, as a read-only root.
    spawnSync('chmod', ['-R', 'a-w,a+rX', root])
  })

  after(async () => {
    await keyManager?.close()
    if (root !== undefined) spawnSync('chmod', ['-R', 'u+w', root])
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  const inRoot = (words: readonly string[]): [string, ...string[]] => {
    const [program = '', ...args] = words.map((word) => (word.startsWith('/') ? join(root, word) : word))
    return [program, ...args]
  }

  it('holds the product, its production dependencies, and nothing else', () => {
    expect(readdirSync(root).sort()).to.deep.equal(['app', 'nodejs'])
    const app = join(root, 'app')
    expect(readdirSync(app).sort()).to.deep.equal(['LICENSE', 'dist', 'node_modules', 'package.json', 'proto'])
    const { packages } = JSON.parse(read('package-lock.json')) as {
      readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>
    }
    const locked = Object.keys(packages).filter((path) => path !== '')
    const installed = locked.filter((path) => existsSync(join(app, path, 'package.json')))
    expect(installed).to.deep.equal(locked.filter((path) => packages[path]?.dev !== true))
    expect(existsSync(join(app, 'node_modules', 'npm'))).to.equal(false)
    expect(readdirSync(join(app, 'dist')).sort()).to.deep.equal([LICENCES, 'chunks', 'cli.js'])
    expect(readdirSync(join(app, 'dist', 'chunks')).filter((name) => !name.endsWith('.js'))).to.deep.equal([])
    expect(modulesAbove(app)).to.deep.equal([])
  })

  it('starts from its entry point, answers a Check, is healthy, drains on SIGTERM, and writes nothing', async () => {
    const home = mkdtempSync(join(tmpdir(), 'micro-gw-home-'))
    const ports = { grpc: await freePort(), admin: await freePort(), local: await freePort() }
    const config = join(home, 'micro-gw.conf')
    writeFileSync(
      config,
      basicConfig(
        keyManager.url,
        `
[extAuthz]
listen = "127.0.0.1:${ports.grpc}"
drainDelay = "200ms"
[admin]
listen = "127.0.0.1:${ports.admin}"
localListen = "127.0.0.1:${ports.local}"
`,
      ),
    )
    // Read, and not written, by the image's user; nothing else of this machine's is on its way.
    chmodSync(home, 0o555)
    keyManager.tokens.set('good-token', { active: true, sub: 'alice', client_id: 'shop', scope: 'a' })
    const settings = { cwd: home, env: { NODE_PATH: '' }, ...IDENTITY } as const
    const [program, ...args] = inRoot(entryPoint())
    const before = contents(root)
    const sidecar = spawn(program, [...args, '--config', config], { ...settings, stdio: ['ignore', 'pipe', 'pipe'] })
    const output = collect(sidecar)
    const exited = new Promise<number | null>((resolve) => sidecar.once('exit', resolve))
    const probe = (): { readonly status: number | null; readonly text: string } => {
      const [asked, ...words] = inRoot(healthcheck())
      const done = spawnSync(asked, [...words, '--config', config], { ...settings, encoding: 'utf8' })
      return { status: done.status, text: `${done.stdout}${done.stderr}` }
    }
    try {
      const giveUpAt = Date.now() + 30_000
      while (probe().status !== 0) {
        if (Date.now() > giveUpAt || sidecar.exitCode !== null) throw new Error(`it did not start:\n${output()}`)
        await wait(50)
      }
      const client = connectChecks(`127.0.0.1:${ports.grpc}`)
      const allowed = await client.check(httpCheck({ headers: { authorization: 'Bearer good-token' } }))
      const denied = await client.check(httpCheck({ headers: { authorization: 'Bearer bad-token' } }))
      client.close()
      expect(allowed.status?.code ?? 0).to.equal(0)
      expect(allowed.ok_response?.headers?.map(({ header }) => header?.key)).to.include('x-auth-subject')
      expect(denied.denied_response?.status?.code).to.equal('Unauthorized')
      expect(probe()).to.deep.equal({ status: 0, text: `serving: 127.0.0.1:${ports.grpc}\n` })

      sidecar.kill('SIGTERM')
      expect(await exited, output()).to.equal(0)
      expect(probe().status).to.equal(1)
      expect(contents(root)).to.deep.equal(before)
      expect(readdirSync(home)).to.deep.equal(['micro-gw.conf'])
    } finally {
      sidecar.kill('SIGKILL')
      await exited
      chmodSync(home, 0o755)
      rmSync(home, { recursive: true })
    }
  })

  it('prints its version', () => {
    const [program, ...args] = inRoot(entryPoint())
    const done = spawnSync(program, [...args, 'version'], { cwd: '/', env: {}, encoding: 'utf8', ...IDENTITY })
    expect(done.stdout).to.contain(manifest.version)
    expect(done.status).to.equal(0)
  })
})

function collect(child: ChildProcess): () => string {
  const chunks: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => void chunks.push(chunk.toString()))
  }
  return () => chunks.join('')
}

/** Every path with its size and the time it was last changed. */
function contents(root: string): readonly string[] {
  return globSync('**/*', { cwd: root })
    .sort()
    .map((path) => {
      const { size, mtimeMs } = lstatSync(join(root, path))
      return `${path} ${size} ${mtimeMs}`
    })
}
