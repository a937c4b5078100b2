/**
 * The same cluster, Check by Check, by the product's own rule of the cache: an answer serves until its life is over,
 * counted from the introspection, wherever it is kept. Tokens do not influence each other, so a sample of them is enough.
 */
import type { Cluster } from './formula.ts'

export interface Simulated {
  /** Once warm. */
  readonly introspectionsPerSecond: number
  /** In the first second after all sidecars started empty at once. */
  readonly firstSecond: number
}

/** `random`: uniform in [0, 1). */
export function simulate(cluster: Cluster, sampledTokens: number, random: () => number): Simulated {
  const { cacheLifeSeconds: life, tokens } = cluster
  const scale = tokens / sampledTokens
  // Answers of every age at the beginning: what began empty at once stays in step for many lives.
  const warm = calls(cluster, sampledTokens, random, { from: life, to: life * 5, remaining: () => random() * life })
  const cold = calls(cluster, sampledTokens, random, { from: 0, to: 1, remaining: () => 0 })
  return { introspectionsPerSecond: (warm * scale) / (life * 4), firstSecond: cold * scale }
}

interface Window {
  readonly from: number
  readonly to: number
  /** How long an answer that is there at the beginning still serves. */
  readonly remaining: () => number
}

function calls(cluster: Cluster, sampledTokens: number, random: () => number, { from, to, remaining }: Window): number {
  const life = cluster.cacheLifeSeconds
  const reach = Math.min(cluster.sidecarsPerToken, cluster.sidecars)
  const ratePerToken = cluster.checksPerSecond / cluster.tokens
  // Checks come independently of each other: exponential gaps.
  const nextArrival = (now: number): number => now - Math.log(1 - random()) / ratePerToken
  let count = 0
  for (let token = 0; token < sampledTokens; token += 1) {
    let sharedUntil = remaining()
    const goodUntil = Float64Array.from({ length: reach }, () => (cluster.shared ? sharedUntil : remaining()))
    for (let now = nextArrival(0); now < to; now = nextArrival(now)) {
      const sidecar = Math.floor(random() * reach)
      if ((goodUntil[sidecar] ?? 0) > now) continue
      if (cluster.shared && sharedUntil > now) {
        // What the shared store holds keeps the instant at which it was made.
        goodUntil[sidecar] = sharedUntil
        continue
      }
      sharedUntil = now + life
      goodUntil[sidecar] = sharedUntil
      if (now >= from) count += 1
    }
  }
  return count
}
