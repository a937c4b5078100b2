/** Every query of the dashboard, and every rule, put to a real Prometheus that scrapes the real product under traffic. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect } from 'chai'
import { after, before, describe, it } from 'mocha'
import { type OwnTokenPair, startOwnTokenPair } from '../support/authority.ts'
import { httpCheck } from '../support/check-client.ts'
import { needTool } from '../support/tool.ts'
import { ROOT } from './kubernetes-rendered.ts'

const DEADLINE_MS = 40_000

interface Query {
  readonly title: string
  readonly expr: string
}
interface RuleState {
  readonly name: string
  readonly health: string
  readonly lastError?: string
  readonly state?: string
}

/** Shows nothing for a product that was just started and works. */
const EMPTY = [/^Alerts/, /six hours before/]

describe('the dashboard and the rules, on a real Prometheus', function () {
  this.timeout(DEADLINE_MS + 20_000)
  let pair: OwnTokenPair
  let prometheus: ChildProcess | undefined
  let origin: string
  let folder: string

  before(async function () {
    const program = needTool(this, 'prometheus')
    folder = mkdtempSync(join(tmpdir(), 'prometheus-'))
    pair = await startOwnTokenPair()
    const port = await freePort()
    origin = `http://127.0.0.1:${port}`
    const config = {
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      rule_files: [join(ROOT, 'deploy/prometheus/rules/*.yml')],
      scrape_configs: [
        {
          job_name: 'micro-gw-authz',
          static_configs: [{ targets: [pair.running.app.addresses.admin], labels: { namespace: 'shop' } }],
        },
      ],
    }
    writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(config))
    prometheus = spawn(
      program,
      [
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--log.level=error',
      ],
      { stdio: 'ignore' },
    )
  })

  after(async () => {
    if (prometheus !== undefined && prometheus.exitCode === null) {
      prometheus.kill('SIGKILL')
      await once(prometheus, 'exit')
    }
    await pair?.close()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  it('every panel shows something, every rule is evaluated, and no alert fires', async () => {
    let missing = queries()
    let refused = false
    const until = performance.now() + DEADLINE_MS
    while (missing.length > 0 && performance.now() < until) {
      await traffic(pair)
      const results = await Promise.all(
        missing.map(async (query) => ((await isEmpty(origin, query.expr)) ? [query] : [])),
      )
      missing = results.flat()
      // A refused own token is renewed once in 30 s: its counter must move after it was scraped, not before.
      if (!refused && !missing.some(({ title }) => title.startsWith('Checks a second'))) {
        refused = true
        pair.authority.live.clear()
      }
      await pause(200)
    }
    expect(missing.map(({ title }) => title)).to.deep.equal([])
    const rules = await rulesOf(origin)
    expect(rules.length).to.be.above(20)
    expect(rules.filter(({ health }) => health !== 'ok')).to.deep.equal([])
    // Pending is no fault of the rules: a busy machine makes the event loop late.
    expect(rules.filter(({ state }) => state === 'firing')).to.deep.equal([])
  })
})

/** Hits, misses, inactive tokens, no token at all, a caller that leaves, a reload. */
async function traffic(pair: OwnTokenPair): Promise<void> {
  const now = performance.now()
  for (const value of ['Bearer good-1', `Bearer good-${now}`, `Bearer bad-${now}`, undefined]) await pair.ask(value)
  await leave(pair, `Bearer leaving-${now}`)
  pair.running.rewrite(`${readFileSync(pair.running.configFile, 'utf8')}\n# changed\n`)
  await pair.running.app.reload()
}

/** Gone before its answer comes, or at the next attempt. */
async function leave(pair: OwnTokenPair, authorization: string): Promise<void> {
  const arrived = Promise.withResolvers<void>()
  const left = Promise.withResolvers<void>()
  pair.authority.onIntrospect = async () => {
    arrived.resolve()
    await left.promise
    return { body: { active: false } }
  }
  const { call, reply } = pair.client.start(
    httpCheck({ method: 'GET', path: '/', host: 'h', headers: { authorization } }),
  )
  const ended = reply.catch(() => undefined)
  await arrived.promise
  pair.authority.onIntrospect = undefined
  call.cancel()
  await ended
  left.resolve()
}

/** As Grafana asks where All is chosen. */
function queries(): readonly Query[] {
  const dashboard: {
    readonly panels: readonly {
      readonly title: string
      readonly targets?: readonly { expr: string; legendFormat: string }[]
    }[]
    readonly annotations: { readonly list: readonly { readonly name: string; readonly expr: string }[] }
  } = JSON.parse(readFileSync(join(ROOT, 'deploy/grafana/dashboards/micro-gw-authz.json'), 'utf8'))
  const all = [
    ...dashboard.panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr, legendFormat }) => ({ title: `${title}: ${legendFormat}`, expr })),
    ),
    ...dashboard.annotations.list.map(({ name, expr }) => ({ title: name, expr })),
  ]
  return all
    .filter(({ title }) => !EMPTY.some((pattern) => pattern.test(title)))
    .map(({ title, expr }) => ({
      title,
      expr: expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$\w+/g, '.*'),
    }))
}

/** True while Prometheus is not there yet; throws where it refuses the query. */
async function isEmpty(origin: string, expr: string): Promise<boolean> {
  const response = await fetch(`${origin}/api/v1/query?${new URLSearchParams({ query: expr })}`).catch(() => undefined)
  if (response === undefined || response.status === 503) return true
  const body: {
    readonly status: string
    readonly error?: string
    readonly data?: { readonly result: readonly unknown[] }
  } = JSON.parse(await response.text())
  if (body.status !== 'success') throw new Error(`${body.error}: ${expr}`)
  return (body.data?.result ?? []).length === 0
}

async function rulesOf(origin: string): Promise<readonly RuleState[]> {
  const body: { readonly data: { readonly groups: readonly { readonly rules: readonly RuleState[] }[] } } = JSON.parse(
    await (await fetch(`${origin}/api/v1/rules`)).text(),
  )
  return body.data.groups.flatMap((group) => group.rules)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
