import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import type { Loaded } from '../../../src/config/config.ts'
import { loadConfig } from '../../../src/config/load.ts'
import type { KeyManager } from '../../../src/keymanager/key-manager.ts'
import { type ConfigurationInForce, keepConfiguration } from '../../../src/server/configuration.ts'
import type { ReloadOutcome } from '../../../src/telemetry/label-sets.ts'
import { createMetrics, type Metrics } from '../../../src/telemetry/metrics.ts'
import { createFakeClock, type FakeClock } from '../../support/clock.ts'
import { GOOD, load } from '../config/writing.ts'

const STARTED_MS = 1_000_000
const UNPROBED = GOOD.replace('external', 'startupProbe = false\nexternal')
const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

describe('microgw_config_last_reload_success_timestamp_seconds: when the configuration in force was loaded', () => {
  let clock: FakeClock
  let metrics: Metrics
  let next: Loaded
  let applies: boolean
  let configuration: ConfigurationInForce
  const text = (more = ''): string => `${UNPROBED}${more}`

  beforeEach(() => {
    clock = createFakeClock({ wallMs: STARTED_MS })
    metrics = createMetrics()
    metrics.configLoaded(clock.wallMs())
    applies = true
    const loaded = load(text())
    if (!loaded.ok) throw new Error('does not load')
    next = loaded
    configuration = keepConfiguration({
      loaded,
      load: () => next,
      apply() {
        if (!applies) throw new Error('does not apply')
        return {} as KeyManager
      },
      metrics,
      log: SILENT,
      clock,
    })
    clock.setWall(STARTED_MS + 7000)
  })
  afterEach(() => configuration.close())

  const seconds = async (): Promise<number> => {
    const { body } = await metrics.exposition()
    return Number(/^microgw_config_last_reload_success_timestamp_seconds (.*)$/m.exec(body)?.[1])
  }

  it('moves with a reload', async () => {
    next = load(text('[log]\nlevel = "warn"\n'))
    expect(await configuration.reload()).to.equal('success')
    expect(await seconds()).to.equal(1007)
    expect(configuration.loadedAt).to.equal(new Date(STARTED_MS + 7000).toISOString())
  })

  it('moves with one that leaves something to a restart: the rest is in force', async () => {
    next = load(text('[extAuthz]\nlisten = "127.0.0.1:9002"\n'))
    expect(await configuration.reload()).to.equal('restart_required')
    expect(await seconds()).to.equal(1007)
    expect(configuration.loadedAt).to.equal(new Date(STARTED_MS + 7000).toISOString())
  })

  it('stands still where the new one is refused or cannot be put in force', async () => {
    next = load(text('[log]\nlevel = "loud"\n'))
    expect(await configuration.reload()).to.equal('failure')
    applies = false
    next = load(text())
    expect(await configuration.reload()).to.equal('failure')
    expect(await seconds()).to.equal(1000)
    expect(configuration.loadedAt).to.equal(new Date(STARTED_MS).toISOString())
  })
})

describe('the files of the configuration', () => {
  let folder: string
  let clock: FakeClock
  let configuration: ConfigurationInForce
  let outcomes: ReloadOutcome[]
  /** What putting it in force waits for. */
  let applied: Promise<void>
  const path = (name: string): string => join(folder, name)
  const write = (name: string, text: string): void => writeFileSync(path(name), text)
  const withSecret = (reference: string): string => UNPROBED.replace('"secret"', `"${reference}"`)
  /** The next look at the files, and the reload that it may bring. */
  const look = async (): Promise<void> => {
    clock.advance(5000)
    for (let ticks = 0; ticks < 5; ticks += 1) await new Promise(setImmediate)
  }

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'micro-gw-files-'))
    clock = createFakeClock()
    outcomes = []
    applied = Promise.resolve()
    write('micro-gw.conf', withSecret(`@file:{${path('old')}}`))
    write('old', 'one')
    const read = (): Loaded => loadConfig({ file: path('micro-gw.conf'), env: {} })
    const loaded = read()
    if (!loaded.ok) throw new Error('does not load')
    configuration = keepConfiguration({
      loaded,
      load: read,
      apply: () => applied.then(() => ({}) as KeyManager),
      metrics: { reload: (outcome) => void outcomes.push(outcome), configLoaded() {} },
      log: SILENT,
      clock,
    })
  })
  afterEach(() => {
    configuration.close()
    rmSync(folder, { recursive: true })
  })

  it('that change while the process starts are read again: what counts is what was loaded', async () => {
    configuration.close()
    const loaded = loadConfig({ file: path('micro-gw.conf'), env: {} })
    if (!loaded.ok) throw new Error('does not load')
    write('old', 'two')
    configuration = keepConfiguration({
      loaded,
      load: () => loadConfig({ file: path('micro-gw.conf'), env: {} }),
      apply: async () => ({}) as KeyManager,
      metrics: { reload: (outcome) => void outcomes.push(outcome), configLoaded() {} },
      log: SILENT,
      clock,
    })
    await look()
    expect(outcomes).to.deep.equal(['success'])
    await look()
    expect(outcomes).to.have.length(1)
  })

  it('that a refused configuration alone names are watched: one that appears later puts it in force', async () => {
    write('micro-gw.conf', withSecret(`@file:{${path('new')}}`))
    await look()
    expect(outcomes).to.deep.equal(['failure'])
    await look()
    expect(outcomes, 'once for each change').to.have.length(1)
    write('new', 'two')
    await look()
    expect(outcomes).to.deep.equal(['failure', 'success'])
  })

  it('in force are still watched after a refused one', async () => {
    write('micro-gw.conf', 'neither = [')
    await look()
    write('old', 'two')
    await look()
    expect(outcomes).to.deep.equal(['failure', 'failure'])
    write('micro-gw.conf', withSecret(`@file:{${path('old')}}`))
    await look()
    expect(outcomes.at(-1)).to.equal('success')
  })

  it('that change while a configuration is put in force are loaded again', async () => {
    const applying = Promise.withResolvers<void>()
    applied = applying.promise
    write('new', 'two')
    write('micro-gw.conf', withSecret(`@file:{${path('new')}}`))
    await look()
    write('new', 'three')
    applying.resolve()
    await new Promise(setImmediate)
    expect(outcomes).to.deep.equal(['success'])
    await look()
    expect(outcomes).to.deep.equal(['success', 'success'])
    await look()
    expect(outcomes, 'once for each change').to.have.length(2)
  })

  it('that change while one is put in force that fails are loaded again', async () => {
    const applying = Promise.withResolvers<void>()
    applied = applying.promise
    write('new', 'two')
    write('micro-gw.conf', withSecret(`@file:{${path('new')}}`))
    await look()
    write('new', 'three')
    applied = Promise.resolve()
    applying.reject(new Error('cannot be put in force'))
    await look()
    expect(outcomes).to.deep.equal(['failure', 'success'])
  })

  it('of the configuration before are not watched any more', async () => {
    write('new', 'two')
    write('micro-gw.conf', withSecret(`@file:{${path('new')}}`))
    await look()
    write('old', 'changed')
    await look()
    expect(outcomes).to.deep.equal(['success'])
  })

  it('are watched no more once it is closed, though a reload was under way', async () => {
    const applying = Promise.withResolvers<void>()
    applied = applying.promise
    const reloaded = configuration.reload()
    await new Promise(setImmediate)
    configuration.close()
    applying.resolve()
    await reloaded
    expect(clock.pending()).to.equal(0)
  })
})
