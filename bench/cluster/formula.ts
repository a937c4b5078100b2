/** How many introspections a second a cluster makes, on paper. Pure. */

export interface Cluster {
  readonly sidecars: number
  /** Tokens in use. */
  readonly tokens: number
  /** Checks a second of the whole cluster, spread evenly over tokens. */
  readonly checksPerSecond: number
  /** How many of the sidecars one token's requests reach: 1 (sticky) to all of them. */
  readonly sidecarsPerToken: number
  /** min(`tokenCacheExpiryTime`, what is left of a token's `exp`), seconds. */
  readonly cacheLifeSeconds: number
  /** Whether all sidecars share one store behind their memory. */
  readonly shared: boolean
}

/**
 * A remembered answer is not renewed by a hit: a miss, then `life` seconds of hits, then the wait for the next Check,
 * 1 / rate on average. One memory that sees `rate` Checks of a token a second so makes 1 / (life + 1 / rate) calls.
 * There are `tokens * sidecarsPerToken` such memories; with a shared store one for each token.
 */
export function introspectionsPerSecond(cluster: Cluster): number {
  const memories = cluster.tokens * (cluster.shared ? 1 : Math.min(cluster.sidecarsPerToken, cluster.sidecars))
  const rate = cluster.checksPerSecond / memories
  return memories / (cluster.cacheLifeSeconds + 1 / rate)
}
