/** `worker`: one of several processes of `serve`, which starts it; not for people. */
import { tuneCollector } from '../server/collector.ts'
import { ignoreSignals } from '../server/lifecycle.ts'
import type { Io } from './io.ts'

export async function runWorker(
  args: readonly string[],
  _env: Readonly<Record<string, string | undefined>>,
  io: Io,
): Promise<number> {
  const number = Number(args[0])
  const send = process.send?.bind(process)
  if (send === undefined || !Number.isInteger(number)) {
    io.err(
      'micro-gw-authz worker: started by `micro-gw-authz serve` where extAuthz.workers asks for it, and not by hand\n',
    )
    return 2
  }
  ignoreSignals()
  tuneCollector()
  const { startWorker } = await import('../workers/worker.ts')
  const channel = { on: process.on.bind(process), send: (message: object) => send(message, () => undefined) }
  return startWorker(number, channel, io.log ?? io.out, io.logLinesLost ?? (() => 0))
}
