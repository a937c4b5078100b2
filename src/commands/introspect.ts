/** `introspect`: explains step by step what becomes of one token. */
import type {
  CheckView,
  Clock,
  Decision,
  IntrospectionMetrics,
  Introspector,
  Log,
  OwnTokenMetrics,
} from '../authz/ports.ts'
import { systemClock } from '../clock.ts'
import type { Config, KeyManagerConfig } from '../config/config.ts'
import { DEFAULT_FILE, loadConfig } from '../config/load.ts'
import { createKeyManager, type KeyManager } from '../keymanager/key-manager.ts'
import { adviseOn } from './advice.ts'
import { formatProblem } from './check-config.ts'
import {
  describeDecision,
  describeOwnToken,
  describeReceived,
  describeSent,
  type Received,
  whyNotSent,
} from './explanation.ts'
import { CONFIGURATION_OPTIONS, readFlags, SET_HELP, SET_USAGE, usage } from './flags.ts'
import type { Io } from './io.ts'
import { readPairs } from './pairs.ts'
import { readAll, readTextFile } from './text-source.ts'

export const INTROSPECT_HELP = `Usage: micro-gw-authz introspect [@FILE] [flags] < token.txt

Asks the key manager about one token, past every cache, and explains what came back and what a request with it would get.
The token comes from standard input or @FILE, never from an argument: others can read those in the process list.

  --config FILE       default ${DEFAULT_FILE}
${SET_HELP}  --method METHOD     of the request, for the policy; default GET
  --path PATH         default /
  --host HOST         default localhost
  --context KEY=VALUE the route's context_extensions, repeatable
  --use-refresh-token where only a refresh token is configured: use it, although that takes it from a running sidecar

Exit status: 0 the request would pass, 1 it would not, or the configuration is not usable, 2 wrong usage.
`

const NO_ARGUMENT = 'a token is never an argument (others can read it in the process list): standard input or @FILE'

/** One decision, with an introspector in place of the configured one and nothing remembered. */
export type DecideOnce = (
  config: Config,
  dependencies: { readonly introspector: Introspector; readonly clock: Clock },
  check: CheckView,
) => Promise<Decision>

const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} }
const UNCOUNTED: IntrospectionMetrics & OwnTokenMetrics = {
  introspection() {},
  introspectionsInFlight() {},
  breaker() {},
  ownTokenRenewal() {},
  ownTokenExpiresAt() {},
}

/** `decide` in place of the application's own. */
export async function runIntrospect(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  io: Io,
  decide: DecideOnce = decideAsServed,
): Promise<number> {
  const options = {
    ...CONFIGURATION_OPTIONS,
    method: { type: 'string', default: 'GET' },
    path: { type: 'string', default: '/' },
    host: { type: 'string', default: 'localhost' },
    context: { type: 'string', multiple: true },
    'use-refresh-token': { type: 'boolean', default: false },
  } as const
  const [first = ''] = args
  const file = first.startsWith('@') ? first.slice(1) : undefined
  const flags = file === undefined ? args : args.slice(1)
  const read = readFlags('introspect', INTROSPECT_HELP, flags, options, io, NO_ARGUMENT)
  if (!read.ok) return read.exit
  const { config: configFile, set = [], method, path, host } = read.values
  const sets = readPairs(set)
  if (sets === undefined) return usage('introspect', INTROSPECT_HELP, SET_USAGE, io).exit
  const context = readPairs(read.values.context ?? [])
  if (context === undefined) return usage('introspect', INTROSPECT_HELP, '--context takes KEY=VALUE', io).exit
  const text = file === undefined ? await readAll(io.stdin) : await readTextFile(file)
  if (text === undefined) return usage('introspect', INTROSPECT_HELP, `cannot read ${file}`, io).exit
  const token = text.trim().replace(/^Bearer +/i, '')
  if (token === '') return usage('introspect', INTROSPECT_HELP, 'no token on standard input or in @FILE', io).exit

  const loaded = loadConfig({ file: configFile, env, flags: Object.fromEntries(sets) })
  if (!loaded.ok) {
    for (const problem of loaded.problems) io.err(`${formatProblem(problem, configFile ?? DEFAULT_FILE)}\n`)
    return 1
  }
  const keyManagerConfig = read.values['use-refresh-token']
    ? loaded.config.keyManager
    : withoutRefresh(loaded.config.keyManager)
  if (keyManagerConfig === undefined) {
    io.err(
      'Only a refresh token is configured. Using it here would take it from a running sidecar. Where none runs, add --use-refresh-token.\n',
    )
    return 1
  }
  const isStale = !read.values['use-refresh-token'] && isRefreshed(loaded.config.keyManager)
  const config: Config = { ...loaded.config, keyManager: keyManagerConfig }
  const keyManager = createKeyManager(keyManagerConfig, { clock: systemClock, metrics: UNCOUNTED, log: SILENT })
  const watched = watch(keyManager)
  try {
    const noToken = await explainOwnToken(keyManagerConfig, keyManager, io)
    const check = bearerCheck(token, { method, path, host, context })
    const decision = await decide(config, { introspector: watched, clock: systemClock }, check)
    const received = watched.received()
    const notSent = received === undefined ? 'the request was decided before' : whyNotSent(received)
    if (received === undefined || notSent !== undefined) io.out(`1. Nothing was sent: ${notSent}\n\n`)
    else io.out(`${describeSent(keyManagerConfig, token)}\n${describeReceived(received, token)}\n`)
    io.out(describeDecision(decision))
    const advice = adviseOn(keyManagerConfig, received?.outcome, noToken, isStale)
    if (advice.length > 0) io.out(`\n4. What to change\n   ${advice.join('\n   ')}\n`)
    return decision.allow ? 0 : 1
  } finally {
    await keyManager.close()
  }
}

/** A rotated refresh token belongs to the sidecar that runs. Undefined: without it there is nothing to ask with. */
function withoutRefresh(keyManager: KeyManagerConfig): KeyManagerConfig | undefined {
  const { security } = keyManager
  if (security.kind !== 'own_token' || security.ownToken.grant === 'client_credentials') return keyManager
  if (security.ownToken.grant === 'direct' && security.ownToken.accessToken === undefined) return undefined
  return { ...keyManager, security: { ...security, ownToken: { ...security.ownToken, refresh: undefined } } }
}

/** True where a running sidecar sends another access token than the configured one. */
function isRefreshed({ security }: KeyManagerConfig): boolean {
  if (security.kind !== 'own_token' || security.ownToken.grant !== 'direct') return false
  return security.ownToken.refresh !== undefined
}

/** Prints how the own token came about; resolves to why there is none. */
async function explainOwnToken(config: KeyManagerConfig, keyManager: KeyManager, io: Io): Promise<string | undefined> {
  const { security } = config
  if (security.kind !== 'own_token' || keyManager.ownToken === undefined) return undefined
  const taken = await keyManager.ownToken.token.take()
  io.out(`${describeOwnToken(security.ownToken, taken, keyManager.status().ownToken, systemClock.monotonicMs())}\n`)
  return taken.kind === 'token' ? undefined : taken.detail
}

/** As `serve` would decide. */
const decideAsServed: DecideOnce = async (config, dependencies, check) => {
  const { decideOnce } = await import('../graph.ts')
  return decideOnce(config, dependencies, check)
}

/** Remembers what came back. */
function watch(introspector: Introspector): Introspector & { received(): Received | undefined } {
  let received: Received | undefined
  return {
    received: () => received,
    async introspect(token, interest) {
      const sentAtMs = systemClock.monotonicMs()
      const outcome = await introspector.introspect(token, interest)
      received = { outcome, tookMs: systemClock.monotonicMs() - sentAtMs }
      return outcome
    },
  }
}

function bearerCheck(
  token: string,
  request: {
    readonly method: string
    readonly path: string
    readonly host: string
    readonly context: ReadonlyMap<string, string>
  },
): CheckView {
  const { context, ...rest } = request
  return {
    ...rest,
    form: 'http',
    credentials: `Bearer ${token}`,
    credentialsCount: 1,
    contextKey: context.size === 0 ? '' : JSON.stringify([...context]),
    contextExtensions: () => context,
    header: () => undefined,
  }
}
