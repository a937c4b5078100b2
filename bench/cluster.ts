/** Scale on paper: what clusters of 10 to 10,000 sidecars do to a key manager, by formula and by simulation. */
import { type Cluster, introspectionsPerSecond } from './cluster/formula.ts'
import { simulate } from './cluster/simulation.ts'
import { createRandom } from './load/zipf.ts'
import { type BenchOptions, type BenchResult, runBench } from './report/bench.ts'

/** A sidecar sees this many Checks a second, and there are this many tokens in use for each. */
const CHECKS_EACH = 50
const TOKENS_EACH = 20

const MINUTE = 60

function clusterOf(sidecars: number, life: number, reach: number, shared: boolean): Cluster {
  return {
    sidecars,
    tokens: sidecars * TOKENS_EACH,
    checksPerSecond: sidecars * CHECKS_EACH,
    sidecarsPerToken: reach,
    cacheLifeSeconds: life,
    shared,
  }
}

async function benchCluster({ quick, say }: BenchOptions): Promise<BenchResult> {
  const random = createRandom(7)
  const events = quick ? 20_000 : 2_000_000
  const rows: (string | number)[][] = []
  let worst = 0
  for (const sidecars of quick ? [10, 100] : [10, 100, 1000, 10_000]) {
    for (const [life, reach, shared] of cases(sidecars)) {
      const cluster = clusterOf(sidecars, life, reach, shared)
      const perToken = (cluster.checksPerSecond / cluster.tokens) * life * 5
      const sampled = Math.min(cluster.tokens, Math.max(20, Math.round(events / perToken)))
      const formula = introspectionsPerSecond(cluster)
      const found = simulate(cluster, sampled, random)
      worst = Math.max(worst, Math.abs(found.introspectionsPerSecond / formula - 1))
      const perThousand = (formula / cluster.checksPerSecond) * 1000
      const store = shared ? 'shared' : 'memory'
      const where = reach === 1 ? 'one' : reach === sidecars ? 'all' : String(reach)
      rows.push([
        sidecars,
        cluster.checksPerSecond,
        where,
        `${life / MINUTE} min`,
        store,
        formula,
        found.introspectionsPerSecond,
        perThousand,
        found.firstSecond,
      ])
    }
    say(`${sidecars} sidecars`)
  }
  return {
    tables: [
      {
        title: `${CHECKS_EACH} Checks a second and ${TOKENS_EACH} tokens in use for each sidecar`,
        columns: [
          'sidecars',
          'Checks/s',
          'a token reaches',
          'cache life',
          'store',
          'introspections/s, formula',
          'simulated',
          'per 1,000 Checks',
          'first second, all empty',
        ],
        rows,
      },
    ],
    figures: { cases: rows.length, worstDeviation: worst },
    notes: [`The simulation differs from the formula by ${(worst * 100).toFixed(1)} % at most.`],
  }
}

/** Life, how many sidecars a token reaches, shared store. */
function cases(sidecars: number): readonly (readonly [number, number, boolean])[] {
  const some = Math.min(sidecars, 5)
  return [
    [15 * MINUTE, some, false],
    [15 * MINUTE, sidecars, false],
    [15 * MINUTE, sidecars, true],
    [MINUTE, some, false],
    [MINUTE, sidecars, false],
    [MINUTE, sidecars, true],
  ]
}

if (import.meta.main) await runBench('cluster', benchCluster)
