/** A worker as the primary sees it, without a process. */
import type { WorkerProcess } from '../../src/workers/worker-process.ts'

export interface FakeWorker extends WorkerProcess {
  connections: number
  missedBeats: number
}

/** It keeps what connections it is given, answers as told, and says nothing else. */
export function fakeWorker(missedBeats: number, ask: WorkerProcess['ask'] = async () => undefined): FakeWorker {
  return {
    pid: 1,
    connections: 0,
    missedBeats,
    send: () => undefined,
    give() {
      this.connections += 1
    },
    ask,
    beat: () => undefined,
    kill: () => undefined,
    ended: new Promise(() => undefined),
    closed: new Promise(() => undefined),
  }
}
