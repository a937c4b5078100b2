/** What a reader must know to judge the figures. */
import { cpus, loadavg } from 'node:os'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly node: string
  /** Over the last minute, at the end of the run: above the number of cores somebody else was busy too. */
  readonly loadAverage: number
}

export function describeMachine(): Machine {
  const all = cpus()
  const cpu = (all[0]?.model ?? 'unknown').trim()
  return { cpu, cores: all.length, node: process.versions.node, loadAverage: loadavg()[0] ?? 0 }
}
