/** `serve`: the sidecar itself, until a signal ends it. */
import { type App, startApp } from '../app.ts'
import { systemClock } from '../clock.ts'
import { ConfigurationError } from '../config/configuration-error.ts'
import { DEFAULT_FILE } from '../config/load.ts'
import { tuneCollector } from '../server/collector.ts'
import { type LifecycleActions, watchProcess } from '../server/lifecycle.ts'
import { createLog } from '../telemetry/log.ts'
import { formatProblem } from './check-config.ts'
import { readFlags, usage } from './flags.ts'
import type { Io } from './io.ts'
import { readPairs } from './pairs.ts'

export const SERVE_HELP = `Usage: micro-gw-authz [serve] [--config FILE] [--set KEY=VALUE]...

Answers Envoy's ext_authz Checks until SIGTERM or SIGINT (drains) or a second one (stops at once). SIGHUP reloads.

  --config FILE    default ${DEFAULT_FILE}
  --set KEY=VALUE  sets a key by its path, such as log.level=debug; stronger than the environment and the file.
                   Others can read it in the process list: secrets belong into files (@file:) or the environment (@env:)

Exit status: 0 after a drain, or told to end while it starts, 1 where the configuration is not usable or an address is taken, 2 wrong usage.
`

/** Resolves when the process should end. */
export async function runServe(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  io: Io,
): Promise<number> {
  const options = { config: { type: 'string' }, set: { type: 'string', multiple: true } } as const
  const read = readFlags('serve', SERVE_HELP, args, options, io)
  if (!read.ok) return read.exit
  const { config, set = [] } = read.values
  const flags = readPairs(set)
  if (flags === undefined) return usage('serve', SERVE_HELP, '--set takes KEY=VALUE', io).exit

  tuneCollector()
  const writeLog = io.log ?? io.out
  const log = createLog({ level: 'info', write: writeLog, clock: systemClock })
  const { promise: started, resolve: nowStarted } = Promise.withResolvers<App | undefined>()
  const actions = actionsOf(started)
  // First of all: a signal that comes while it starts is obeyed as well.
  const life = watchProcess(actions, log, io.signals?.())
  try {
    const { logLinesLost } = io
    const starting = startApp({ configFile: config, env, flags: Object.fromEntries(flags), writeLog, logLinesLost })
    starting.then(nowStarted, () => nowStarted(undefined))
    return await Promise.race([life.ended, starting.then(() => life.ended)])
  } catch (error) {
    // Whatever came of the start: it was told to end.
    if (actions.isEnding()) return life.ended
    if (error instanceof ConfigurationError) {
      for (const problem of error.problems) io.err(`${formatProblem(problem, config ?? DEFAULT_FILE)}\n`)
      io.err('The configuration is NOT usable.\n')
    } else {
      // What start-up throws besides is ours (an address that is taken), but a foreign text may hold anything.
      io.err(`micro-gw-authz: ${startFailure(error)}\n`)
    }
    return 1
  } finally {
    life.dispose()
  }
}

/** Told to end before it has started, it waits this long for what there is to be taken down. */
const ABANDON_MS = 1_000

/** `started`: undefined where nothing came of it. */
function actionsOf(started: Promise<App | undefined>): LifecycleActions & { readonly isEnding: () => boolean } {
  let app: App | undefined
  let isEnding = false
  void started.then((one) => {
    app = one
  })
  const abandon = (): Promise<void> =>
    new Promise((resolve) => {
      systemClock.after(ABANDON_MS, resolve)
      void started.then((one) => one?.stop()).then(resolve, resolve)
    })
  return {
    isEnding: () => isEnding,
    drain() {
      isEnding = true
      return app === undefined ? abandon() : app.drain()
    },
    stop() {
      isEnding = true
      return app === undefined ? abandon() : app.stop()
    },
    reload: async () => (await started)?.reload(),
  }
}

function startFailure(error: unknown): string {
  const isOurs = error instanceof Error && /^(?:cannot listen on|a worker process) /.test(error.message)
  return isOurs ? error.message : 'start failed'
}
