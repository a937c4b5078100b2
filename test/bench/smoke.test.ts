/** Each bench measures something. How fast is never asserted: machines differ, and so do their neighbours. */
import { spawnSync } from 'node:child_process'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { IMAGE, SET_BY_SERVE } from '../../bench/servers/node-settings.ts'
import { ENVOY_VERSION } from '../../scripts/envoy.ts'
import { envoyOrSkip } from '../envoy/traffic.ts'
import { h2loadOrSkip, runQuickly } from './run.ts'

/** Figures that a bench must report, each above 0. */
const BENCHES: Readonly<Record<string, readonly string[]>> = {
  check: ['hitMicros', 'hitToOurCodec', 'hitToLoaderCodec', 'hitToHttp2', 'manyToOne', 'residentMB'],
  miss: ['missMicros', 'slowMissMicros', 'bareClientMicros', 'missToHitPlusBare'],
  latency: [
    'p99At1000',
    'floorP99At1000',
    'saturationPerSecond',
    'envoySaturationPerSecond',
    'envoyP99WithAt1000',
    'envoyP99WithoutAt1000',
    'sentPerSecondAt1000',
    'sentLateP99At1000',
  ],
  memory: ['idleResidentMB', 'bytesEachAt500', 'fillStallMsAt500', 'expireStallMs'],
  start: ['nodeMs', 'startMs', 'startCachedMs'],
  herd: ['herdIntrospections', 'zipfPerThousand', 'zipfPerThousandSmall'],
  profile: [
    'functions',
    'costliestShare',
    'KB, hit',
    'KB, miss',
    'KB, floor: grpc-js, our codec',
    'KB, floor: node:http2',
  ],
  settings: ["Node's own", "Node's own, miss", 'the image', 'the image, miss'],
  cluster: ['cases'],
  workers: ['oneMicros', 'twoMicros', 'cpuRatio', 'throughputRatio'],
  balance: [
    'one address, 1,024 Checks a connection; 2 workers; concurrency 1; low',
    'one address, 1,024 Checks a connection; 2 workers; concurrency 1; high',
    'an address each, ROUND_ROBIN; 2 workers; concurrency 1; low',
    'an address each, ROUND_ROBIN; 2 workers; concurrency 1; high',
  ],
}

const NEEDS_ENVOY = ['balance', 'latency']

describe('the benches', function () {
  this.timeout(60_000)

  for (const [name, figures] of Object.entries(BENCHES)) {
    it(`bench:${name} measures and prints a table`, async function () {
      if (NEEDS_ENVOY.includes(name)) envoyOrSkip(ENVOY_VERSION, this)
      const ran = await runQuickly(name)
      expect(ran.exit, ran.errors).to.equal(0)
      expect(ran.printed).to.match(/^\|[- |:]+\|$/m)
      for (const figure of figures) expect(ran.figures[figure], figure).to.be.above(0)
      // The two figures that do not depend on the machine: a cold token is asked for once, randomness has a seed.
      if (name === 'herd') expect(ran.figures['herdIntrospections']).to.equal(1)
      if (name === 'cluster') expect(ran.figures['worstDeviation']).to.be.below(0.02)
    })
  }

  it('a result says when, of which commit and how it was measured', async () => {
    const git = spawnSync('git', ['rev-parse', '--short=12', 'HEAD'], { cwd: import.meta.dirname, encoding: 'utf8' })
    const commit = git.status === 0 ? git.stdout.trim() : 'unknown'
    const ran = await runQuickly('cluster')
    const { startedAt, source, machine } = ran.document
    expect(new Date(String(startedAt)).toISOString()).to.equal(startedAt)
    expect(Object(source).commit ?? 'unknown').to.match(new RegExp(`^${commit}(-dirty)?$`))
    expect(Object(source).flags).to.include.members([...IMAGE.flags, SET_BY_SERVE])
    expect(Object(source).arguments).to.deep.equal(['--quick', '--load', 'own'])
    expect(Object(machine).node).to.equal(process.versions.node)
    expect(ran.printed).to.contain(`${String(startedAt).slice(0, 10)}, commit ${commit}`)
    expect(ran.printed).to.contain(IMAGE.flags.join(' '))
  })

  it('bench:check measures by h2load, its default where that is installed', async function () {
    h2loadOrSkip(this)
    const ran = await runQuickly('check', 'h2load')
    expect(ran.exit, ran.errors).to.equal(0)
    expect(ran.printed).to.contain('Memory hits by h2load')
    for (const figure of BENCHES['check'] ?? []) expect(ran.figures[figure], figure).to.be.above(0)
  })
})
