/** Which core runs what: the server under load has one for itself, all that makes load runs on the other. */
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

export const SERVER_CORE = 1
export const LOAD_CORE = 0

/** False: one core only, or no taskset; figures then include the load's share of the core's caches. */
export const CAN_PIN = availableParallelism() > 1 && spawnSync('taskset', ['--version']).status === 0

/** As this process found them, before it moved itself to one. */
export const CORES = availableParallelism()

/** The command line that runs `command` on one core, or wherever there is room. */
export function pinned(core: number | 'any', command: readonly string[]): readonly string[] {
  if (!CAN_PIN) return command
  return ['taskset', '-c', core === 'any' ? `0-${CORES - 1}` : String(core), ...command]
}

/** Moves this process, threads included, to the load's core; children inherit it. */
export function pinSelfToLoadCore(): void {
  if (CAN_PIN) spawnSync('taskset', ['-a', '-c', '-p', String(LOAD_CORE), String(process.pid)])
}
