import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import type { Loaded } from '../../../src/config/config.ts'
import type { KeyManager } from '../../../src/keymanager/key-manager.ts'
import { type ConfigurationInForce, keepConfiguration } from '../../../src/server/configuration.ts'
import { createMetrics, type Metrics } from '../../../src/telemetry/metrics.ts'
import { createFakeClock, type FakeClock } from '../../support/clock.ts'
import { GOOD, load } from '../config/writing.ts'

const STARTED_MS = 1_000_000
const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

describe('microgw_config_last_reload_success_timestamp_seconds: when the configuration in force was loaded', () => {
  let clock: FakeClock
  let metrics: Metrics
  let next: Loaded
  let applies: boolean
  let configuration: ConfigurationInForce
  const text = (more = ''): string => `${GOOD.replace('external', 'startupProbe = false\nexternal')}${more}`

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
