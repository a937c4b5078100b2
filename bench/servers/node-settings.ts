/** How Node is started for the sidecar: as in the image (deploy/docker/Dockerfile), whose reasons are in docs/performance.md. */

export interface NodeSettings {
  readonly flags: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

export const IMAGE: NodeSettings = {
  flags: ['--max-semi-space-size=8', '--min-semi-space-size=8', '--heap-growing-percent=50', '--v8-pool-size=2'],
  env: { MALLOC_ARENA_MAX: '1' },
}

/** For the least memory, at more than twice the CPU time. */
export const SMALL: NodeSettings = { flags: ['--optimize-for-size'], env: { MALLOC_ARENA_MAX: '1' } }

/** What `serve` sets for itself while it runs, and a server that is to be compared with it must be given. */
export const SET_BY_SERVE = '--no-allocation-site-pretenuring'

/** The image's; with `BENCH_NODE_FLAGS` (space separated, may be empty) those and nothing else. */
export function sidecarSettings(): NodeSettings {
  const given = process.env['BENCH_NODE_FLAGS']
  return given === undefined ? IMAGE : { flags: given.split(' ').filter((flag) => flag !== ''), env: {} }
}
