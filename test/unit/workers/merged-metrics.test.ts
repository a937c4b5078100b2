import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import {
  createMetrics,
  createPrimaryMetrics,
  type Metrics,
  type PrimaryMetrics,
} from '../../../src/telemetry/metrics.ts'

const GOLDEN = readFileSync(new URL('../../fixtures/metrics.golden.txt', import.meta.url), 'utf8')

/** Name and labels, their order aside. */
const seriesOf = (text: string): Map<string, number> =>
  new Map(
    text
      .split('\n')
      .filter((line) => line.startsWith('microgw_'))
      .map((line) => {
        const [, name = '', labels = '', value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
        return [`${name}{${labels.split(',').toSorted().join(',')}}`, Number(value)]
      }),
  )

async function exposed(primary: PrimaryMetrics, workers: readonly Metrics[]): Promise<Map<string, number>> {
  const snapshots = await Promise.all(workers.map(async (worker) => structuredClone(await worker.snapshot())))
  return seriesOf((await primary.merged(snapshots)).body)
}

describe('the metrics of several workers as one', () => {
  const workers = (): [Metrics, Metrics] => {
    const [one, two] = [createMetrics(), createMetrics()]
    one.check('allow', 'allowed', 'hit', 0.0004)
    two.check('allow', 'allowed', 'hit', 0.02)
    two.check('deny', 'inactive_token', 'miss', 0.02)
    one.checksInFlight(1)
    two.checksInFlight(1)
    one.breaker('open')
    one.cacheEntries(() => 3)
    two.cacheEntries(() => 4)
    return [one, two]
  }

  it('hold every series that one process has, and those of the workers', async () => {
    const merged = await exposed(createPrimaryMetrics(), workers())
    const single = [...seriesOf(GOLDEN).keys()].filter((name) => !name.startsWith('microgw_build_info'))
    expect(single.length).to.be.above(100)
    expect(single.filter((name) => !merged.has(name))).to.deep.equal([])
    const more = [...merged.keys()].filter((name) => !single.includes(name) && !name.startsWith('microgw_build_info'))
    expect(more).to.deep.equal([
      'microgw_worker_restarts_total{reason="crashed"}',
      'microgw_worker_restarts_total{reason="stuck"}',
      'microgw_workers{}',
    ])
  })

  it('add up counts and histograms; breaker states are numbers of processes; instants are the latest', async () => {
    const primary = createPrimaryMetrics()
    primary.workersServing(() => 2)
    primary.configLoaded(2_000)
    primary.ownTokenExpiresAt(9_000)
    primary.logLinesLost(() => 5)
    const [one, two] = workers()
    one.configLoaded(1_000)
    two.logLinesLost(() => 7)
    const merged = await exposed(primary, [one, two])
    const expected = {
      'microgw_checks_total{decision="allow",reason="allowed"}': 2,
      'microgw_checks_total{decision="deny",reason="inactive_token"}': 1,
      'microgw_checks_in_flight{}': 2,
      'microgw_check_duration_seconds_count{cache="hit"}': 2,
      'microgw_check_duration_seconds_bucket{cache="hit",le="0.0005"}': 1,
      'microgw_check_duration_seconds_bucket{cache="hit",le="0.025"}': 2,
      'microgw_breaker_state{state="open"}': 1,
      'microgw_breaker_state{state="closed"}': 1,
      'microgw_cache_entries{store="memory"}': 7,
      'microgw_config_last_reload_success_timestamp_seconds{}': 2,
      'microgw_own_token_expiry_timestamp_seconds{}': 9,
      'microgw_log_lines_lost_total{}': 12,
      'microgw_workers{}': 2,
    }
    expect(Object.fromEntries(Object.keys(expected).map((name) => [name, merged.get(name)]))).to.deep.equal(expected)
    expect([...merged].find(([name]) => name.startsWith('microgw_build_info'))?.[1]).to.equal(1)
  })

  it('keep what a worker that ended had counted, and not what it held', async () => {
    const primary = createPrimaryMetrics()
    const [one, two] = workers()
    // Several ends: what is kept is folded, not heaped up.
    for (let end = 0; end < 3; end += 1) primary.retire(await one.snapshot())
    const merged = await exposed(primary, [two])
    expect(merged.get('microgw_checks_total{decision="allow",reason="allowed"}')).to.equal(4)
    expect(merged.get('microgw_check_duration_seconds_count{cache="hit"}')).to.equal(4)
    expect(merged.get('microgw_check_duration_seconds_bucket{cache="hit",le="0.0005"}')).to.equal(3)
    expect(merged.get('microgw_checks_in_flight{}')).to.equal(1)
    expect(merged.get('microgw_cache_entries{store="memory"}')).to.equal(4)
    expect(merged.get('microgw_breaker_state{state="open"}')).to.equal(0)
  })

  it('are there where no worker answers', async () => {
    const merged = await exposed(createPrimaryMetrics(), [])
    expect(merged.get('microgw_workers{}')).to.equal(0)
    expect(merged.get('microgw_checks_total{decision="allow",reason="allowed"}')).to.equal(0)
  })
})
