/** Each bench measures something. How fast is never asserted: machines differ, and so do their neighbours. */
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { ENVOY_VERSION } from '../../scripts/envoy.ts'
import { envoyOrSkip } from '../envoy/traffic.ts'
import { runQuickly } from './run.ts'

/** Figures that a bench must report, each above 0. */
const BENCHES: Readonly<Record<string, readonly string[]>> = {
  check: ['hitMicros', 'hitToOurCodec', 'hitToLoaderCodec', 'hitToHttp2', 'manyToOne', 'residentMB'],
  miss: ['missMicros', 'slowMissMicros', 'bareClientMicros', 'missToHitPlusBare'],
  latency: ['p99At1000', 'floorP99At1000', 'saturationPerSecond'],
  memory: ['idleResidentMB', 'bytesEachAt500', 'fillStallMsAt500', 'expireStallMs'],
  start: ['nodeMs', 'startMs', 'startCachedMs'],
  herd: ['herdIntrospections', 'zipfPerThousand', 'zipfPerThousandSmall'],
  profile: ['functions', 'costliestShare'],
  settings: ["Node's own"],
  cluster: ['cases'],
  workers: ['oneMicros', 'twoMicros', 'cpuRatio', 'throughputRatio'],
  balance: [
    'one address; 2 workers; concurrency 1; low',
    'one address; 2 workers; concurrency 1; high',
    'an address each, ROUND_ROBIN; 2 workers; concurrency 1; low',
    'an address each, ROUND_ROBIN; 2 workers; concurrency 1; high',
  ],
}

describe('the benches', function () {
  this.timeout(60_000)

  for (const [name, figures] of Object.entries(BENCHES)) {
    it(`bench:${name} measures and prints a table`, async function () {
      if (name === 'balance') envoyOrSkip(ENVOY_VERSION, this)
      const ran = await runQuickly(name)
      expect(ran.exit, ran.errors).to.equal(0)
      expect(ran.printed).to.match(/^\|[- |:]+\|$/m)
      for (const figure of figures) expect(ran.figures[figure], figure).to.be.above(0)
      // The one figure that does not depend on the machine: a cold token is asked for once.
      if (name === 'herd') expect(ran.figures['herdIntrospections']).to.equal(1)
    })
  }
})
