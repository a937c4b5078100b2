#!/usr/bin/env node
/** Picks the command; flags and exit codes, nothing else. */
import { systemClock } from './clock.ts'
import type { Io } from './commands/io.ts'
import { holdSignals, type ProcessEvents } from './server/lifecycle.ts'
import { createLogOutput, type LogOutput } from './telemetry/log-output.ts'

type Command = (args: readonly string[], env: Readonly<Record<string, string | undefined>>, io: Io) => Promise<number>

/** Loaded when asked for: a probe every few seconds should not pay for the server. */
const COMMANDS: ReadonlyMap<string, (io: Io) => Promise<Command>> = new Map([
  ['serve', async (io: Io): Promise<Command> => loadServe(io)],
  // What `serve` starts where several processes are asked for; in no help.
  ['worker', async (io: Io): Promise<Command> => loadWorker(io)],
  ['check-config', async (): Promise<Command> => (await import('./commands/check-config.ts')).runCheckConfig],
  ['introspect', async (): Promise<Command> => (await import('./commands/introspect.ts')).runIntrospect],
  ['check', async (): Promise<Command> => (await import('./commands/check.ts')).runCheck],
  ['healthcheck', async (): Promise<Command> => (await import('./commands/healthcheck.ts')).runHealthcheck],
  ['encrypt', async (): Promise<Command> => (await import('./commands/encrypt.ts')).runEncrypt],
  ['version', async (): Promise<Command> => (await import('./commands/version.ts')).runVersion],
])

/** Signals are held before anything is loaded: one that comes meanwhile must not end the process by itself. */
async function loadServe(io: Io): Promise<Command> {
  io.signals?.()
  return (await import('./commands/serve.ts')).runServe
}

async function loadWorker(io: Io): Promise<Command> {
  io.signals?.()
  return (await import('./commands/worker.ts')).runWorker
}

const HELP = `micro-gw-authz: Envoy ext_authz sidecar for opaque OAuth2 access tokens

Usage: micro-gw-authz [COMMAND] [flags]

  serve         answer Envoy's Checks (the default)
  check-config  list every problem of a configuration
  introspect    explain step by step what becomes of one token
  check         act as Envoy against a running sidecar
  healthcheck   for container probes
  encrypt       write a secret as an @encrypted: value
  version       print the version

  micro-gw-authz COMMAND --help   flags and exit statuses of one command

To start: micro-gw-authz check-config --config micro-gw.conf, then micro-gw-authz --config micro-gw.conf
`

/** Runs one command line and resolves with its exit status; 2: wrong usage. */
export async function runCli(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  io: Io,
): Promise<number> {
  const [first] = argv
  if (first === '--help' || first === '-h' || first === 'help') {
    io.out(HELP)
    return 0
  }
  const isDefault = first === undefined || (first.startsWith('-') && first !== '--version')
  const name = isDefault ? 'serve' : first === '--version' ? 'version' : first
  const load = COMMANDS.get(name)
  if (load === undefined) {
    // The word is not repeated: it may be a token put in the wrong place.
    io.err(`micro-gw-authz: unknown command\n\n${HELP}`)
    return 2
  }
  const command = await load(io)
  return command(isDefault ? argv : argv.slice(1), env, io)
}

/** A reader of the log that reads no more must not hold up a container's end. */
const LAST_LINES_MS = 500

if (import.meta.main) {
  let logOutput: LogOutput | undefined
  let signals: ProcessEvents | undefined
  // Who reads may go away; a command goes on to its end.
  const quiet = (stream: NodeJS.WriteStream): NodeJS.WriteStream =>
    stream.listenerCount('error') > 0 ? stream : stream.on('error', () => undefined)
  const io: Io = {
    get stdin() {
      return process.stdin
    },
    out: (text) => void quiet(process.stdout).write(text),
    err: (text) => void quiet(process.stderr).write(text),
    signals() {
      signals ??= holdSignals()
      return signals
    },
    log(lines) {
      logOutput ??= createLogOutput(process.stdout, {
        clock: systemClock,
        note: (text) => io.err(`micro-gw-authz: ${text}\n`),
      })
      logOutput.write(lines)
    },
    logLinesLost: () => logOutput?.linesLost ?? 0,
  }
  process.exitCode = await runCli(process.argv.slice(2), process.env, io)
  // What is still open (a kept-alive connection) must not hold up a container's end; the output is drained first.
  if (logOutput === undefined) process.stdout.write('', () => process.exit())
  else void logOutput.drained(LAST_LINES_MS).then(() => process.exit())
}
