/** `check-config`: every problem of a configuration at once, with file and line. */
import type { Loaded, Problem } from '../config/config.ts'
import { formatDuration } from '../config/duration.ts'
import { valueInForce } from '../config/effective.ts'
import { DEFAULT_FILE, loadSettings } from '../config/load.ts'
import type { Environment } from '../config/references.ts'
import { SETTABLE, type Settings } from '../config/settings.ts'
import { CONFIGURATION_OPTIONS, readFlags, SET_HELP, SET_USAGE, usage } from './flags.ts'
import type { Io } from './io.ts'
import { readPairs } from './pairs.ts'

export const CHECK_CONFIG_HELP = `Usage: micro-gw-authz check-config [--config FILE] [--set KEY=VALUE]... [--wso2]

Reads the configuration as \`serve\` would, and prints every problem with its line.

  --config FILE       default ${DEFAULT_FILE}
${SET_HELP}  --wso2              also prints each key of WSO2's that is used: effective value, unit, and how WSO2 reads it

Exit status: 0 usable, 1 not usable, 2 wrong usage.
`

/** Exit status 0: usable (warnings and notices may be printed); 1: errors; 2: wrong usage. */
export async function runCheckConfig(args: readonly string[], env: Environment, io: Io): Promise<number> {
  const options = { ...CONFIGURATION_OPTIONS, wso2: { type: 'boolean', default: false } } as const
  const read = readFlags('check-config', CHECK_CONFIG_HELP, args, options, io)
  if (!read.ok) return read.exit
  const { config, set = [], wso2 } = read.values
  const flags = readPairs(set)
  if (flags === undefined) return usage('check-config', CHECK_CONFIG_HELP, SET_USAGE, io).exit
  const { loaded, settings } = loadSettings({ file: config, env, flags: Object.fromEntries(flags) })
  const file = config ?? DEFAULT_FILE
  for (const problem of loaded.problems) io.out(`${formatProblem(problem, file)}\n`)
  if (wso2 && settings !== undefined) io.out(`\n${describeWso2(settings, loaded)}`)
  io.out(summary(loaded))
  return loaded.ok ? 0 : 1
}

/** `file:line: error: key: message`, as compilers write it. */
export function formatProblem(problem: Problem, file: string): string {
  const place = problem.line === undefined ? file : `${file}:${problem.line}`
  const key = problem.key === '' ? '' : `${problem.key}: `
  return `${place}: ${problem.severity}: ${key}${problem.message}`
}

function summary(loaded: Loaded): string {
  const count = (severity: Problem['severity']): number =>
    loaded.problems.filter((one) => one.severity === severity).length
  const counts = `${count('error')} errors, ${count('warning')} warnings, ${count('notice')} notices`
  return loaded.ok ? `The configuration is usable: ${counts}.\n` : `The configuration is NOT usable: ${counts}.\n`
}

const SUBSCRIPTIONS = 'true: subscriptions are checked'
const BACKEND_JWT = 'true: a JWT for the backend'
const REVOCATION = 'true: revoked tokens are refused at once'

/** Where WSO2's reading is another one than ours. */
const WSO2_READINGS: Readonly<Record<string, (settings: Settings) => string>> = {
  'keyManager.timestampSkew': (settings) => {
    const bare = settings.bareNumber('keyManager.timestampSkew')
    return bare === undefined
      ? 'milliseconds in its code'
      : `milliseconds in its code (${formatDuration(bare)}), seconds in its documentation`
  },
  'server.timestampSkew': () => 'milliseconds',
  'keyManager.external': () => 'false: its key-validation service; true: introspection',
  'keyManager.security.basic.enabled': () => 'default true, with admin/admin; silently beats oauth2',
  'caching.tokenCacheExpiryTime': () => 'milliseconds in its code, seconds by its comment; 0: nothing is cached',
  'caching.tokenCacheCapacity': () => 'entries in its code, MB by its comment',
  'keyManager.security.oauth2.credentialBearer': () => 'an unknown value silently means NO_BEARER',
  'keyManager.tokenContext': () => 'slashes may be doubled',
  'keyManager.serverUrl': () => 'plain http to any host too',
  'keyManager.security.basic.username': () => 'with `:` in it too',
  'keyManager.security.oauth2.enabled': () => 'of several grants one silently counts',
  'keyManager.security.oauth2.password.enabled': () => 'without a warning',
  'keyManager.security.oauth2.refresh.enabled': () => 'beside clientCredential: called without credentials',
  'b7a.observability.metrics.enabled': () => 'the whole metrics service',
  'b7a.observability.metrics.prometheus.port': () => 'of the metrics alone',
  'httpClients.proxy.username': () => 'sent to the proxy',
  'httpClients.proxy.password': () => 'sent to the proxy',
  'security.validateSubscriptions': () => SUBSCRIPTIONS,
  'jwtTokenConfig.validateSubscription': () => SUBSCRIPTIONS,
  'apim.eventHub.enable': () => 'true: subscriptions and revocations come by it',
  'jwtConfig.enabled': () => BACKEND_JWT,
  'jwtGeneratorConfig.enabled': () => BACKEND_JWT,
  'jwtGeneratorConfig.jwtGeneratorEnabled': () => BACKEND_JWT,
  'tokenRevocationConfig.realtime.enable': () => REVOCATION,
  'tokenRevocationConfig.realtime.enableRealtimeMessageRetrieval': () => REVOCATION,
}

/** One line for each key of WSO2's that is used here. */
function describeWso2(settings: Settings, loaded: Loaded): string {
  const rows = SETTABLE.filter((row) => row.origin === 'wso2' && row.status !== 'unused' && row.type !== 'tables')
  const table = rows.map((row) => {
    const unit = row.type === 'duration' ? `duration (bare: ${row.unit ?? '-'})` : row.type
    return [
      row.path,
      valueInForce(row, settings, loaded.ok ? loaded.config : undefined) ?? '-',
      unit,
      WSO2_READINGS[row.path]?.(settings) ?? 'the same',
    ]
  })
  const lines = [['key', 'effective', 'unit', "WSO2's reading"], ...table]
  const widths = [0, 1, 2].map((column) => Math.max(...lines.map((line) => (line[column] ?? '').length)))
  return `${lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')}\n\n`
}
