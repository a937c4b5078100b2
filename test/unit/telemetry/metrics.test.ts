import { readFileSync, writeFileSync } from 'node:fs'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { createMetrics } from '../../../src/telemetry/metrics.ts'

const GOLDEN = new URL('../../fixtures/metrics.golden.txt', import.meta.url)

/** The figures of ours stay; of the process and the build only names, help and labels, which another host shares. */
function withoutHostFigures(exposition: string): string {
  return exposition
    .split('\n')
    .filter((line) => !/^nodejs_(?:active_|gc_|heap_space|version)/.test(line))
    .filter((line) => !/^(?:# \w+ )?process_(?:open_fds|max_fds|virtual|heap)/.test(line))
    .map((line) => (/^(?:process_|nodejs_)/.test(line) ? line.replace(/ [^ ]+$/, ' *') : line))
    .map((line) => line.replace(/version="[^"]*",node="[^"]*"/, 'version="*",node="*"'))
    .join('\n')
}

describe('the metrics', () => {
  it('expose at the start what the golden file holds', async () => {
    const { contentType, body } = await createMetrics().exposition()
    const exposed = withoutHostFigures(body)
    const { UPDATE_GOLDEN } = process.env
    if (UPDATE_GOLDEN === '1') writeFileSync(GOLDEN, exposed)
    expect(contentType).to.match(/^text\/plain; version=0\.0\.4/)
    expect(exposed).to.equal(readFileSync(GOLDEN, 'utf8'))
  })

  it('sum up for the status page, without what did not happen', () => {
    const metrics = createMetrics()
    metrics.check('allow', 'allowed', 'hit', 0.0002)
    metrics.check('allow', 'allowed_anonymous', 'none', 0.0002)
    metrics.check('deny', 'inactive_token', 'hit', 0.0002)
    metrics.check('deny', 'overloaded', 'none', 0.0002)
    metrics.check('error', 'overloaded', 'none', 0.0002)
    metrics.introspection('active', 0.02)
    metrics.cacheOperation('memory', 'get', 'hit')
    metrics.cacheOperation('memory', 'get', 'miss')
    metrics.cacheOperation('memory', 'set', 'ok')
    expect(metrics.totals()).to.deep.equal({
      checks: { allow: 2, deny: 2, error: 1 },
      denied: { inactive_token: 1, overloaded: 2 },
      introspections: { active: 1 },
      lookups: { hit: 1, miss: 1 },
    })
  })

  it('count what they are told', async () => {
    const metrics = createMetrics()
    metrics.check('allow', 'allowed', 'hit', 0.0002)
    metrics.check('error', 'overloaded', 'none', 3)
    metrics.wouldDeny('missing_claim')
    metrics.checksInFlight(1)
    metrics.introspection('active', 0.02)
    metrics.introspection('rejected', undefined)
    metrics.introspectionsInFlight(7)
    metrics.breaker('open')
    metrics.cacheOperation('memory', 'get', 'hit')
    metrics.cacheOperation('shared', 'get', 'garbage')
    metrics.waiterJoined()
    metrics.cacheEntries(() => 42)
    metrics.logLinesLost(() => 12)
    metrics.reload('failure', 1000)
    metrics.reload('success', 2000)
    const { body } = await metrics.exposition()
    for (const line of [
      'microgw_checks_total{decision="allow",reason="allowed"} 1',
      'microgw_checks_total{decision="error",reason="overloaded"} 1',
      'microgw_policy_would_deny_total{reason="missing_claim"} 1',
      'microgw_check_duration_seconds_bucket{le="0.00025",cache="hit"} 1',
      'microgw_check_duration_seconds_bucket{le="2.5",cache="none"} 0',
      'microgw_checks_in_flight 1',
      'microgw_introspections_total{outcome="active"} 1',
      'microgw_introspections_total{outcome="rejected"} 1',
      'microgw_introspection_duration_seconds_count 1',
      'microgw_introspections_in_flight 7',
      'microgw_introspection_waiters_total 1',
      'microgw_breaker_state{state="closed"} 0',
      'microgw_breaker_state{state="open"} 1',
      'microgw_cache_operations_total{store="memory",operation="get",result="hit"} 1',
      'microgw_cache_operations_total{store="shared",operation="get",result="garbage"} 1',
      'microgw_cache_entries{store="memory"} 42',
      'microgw_config_reloads_total{outcome="failure"} 1',
      'microgw_config_reloads_total{outcome="success"} 1',
      'microgw_config_last_reload_success_timestamp_seconds 2',
      'microgw_log_lines_lost_total 12',
    ]) {
      expect(body.split('\n')).to.include(line)
    }
  })
})
