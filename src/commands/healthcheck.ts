/** `healthcheck`: for container probes. */

import { request } from 'node:http'
import { type ChannelCredentials, Client } from '@grpc/grpc-js'
import type { Config } from '../config/config.ts'
import { readAdmin, readExtAuthz } from '../config/listener-rules.ts'
import { DEFAULT_FILE, type LoadOptions, loadSettings } from '../config/load.ts'
import { createReport } from '../config/report.ts'
import { healthService } from '../envoy/definition.ts'
import { readChannel, TLS_HELP, TLS_OPTIONS } from './channel.ts'
import { formatProblem } from './check-config.ts'
import { CONFIGURATION_OPTIONS, readFlags, SET_HELP, SET_USAGE, usage } from './flags.ts'
import type { Io } from './io.ts'
import { readPairs } from './pairs.ts'

const TIMEOUT_MS = 2000

export const HEALTHCHECK_HELP = `Usage: micro-gw-authz healthcheck [--address ADDRESS | --admin HOST:PORT] [--config FILE] [--set KEY=VALUE]...

Asks a running sidecar whether it serves. Without an address it asks where the configuration says it listens:
the gRPC health service, or /readyz of the admin listener where the ext_authz port speaks TLS.

  --address ADDRESS   gRPC health service: 127.0.0.1:9001 or unix:/path
${TLS_HELP}  --admin HOST:PORT   /readyz of the admin listener: 127.0.0.1:9797
  --config FILE       default ${DEFAULT_FILE}
${SET_HELP}
Exit status: 0 serving, 1 not, 2 wrong usage. It waits ${TIMEOUT_MS / 1000} s at most.
`

type Target = { readonly kind: 'grpc'; readonly address: string } | { readonly kind: 'admin'; readonly address: string }

export async function runHealthcheck(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  io: Io,
): Promise<number> {
  const options = {
    address: { type: 'string' },
    admin: { type: 'string' },
    ...CONFIGURATION_OPTIONS,
    ...TLS_OPTIONS,
  } as const
  const read = readFlags('healthcheck', HEALTHCHECK_HELP, args, options, io)
  if (!read.ok) return read.exit
  const { address, admin, config, set = [] } = read.values
  if (address !== undefined && admin !== undefined) {
    return usage('healthcheck', HEALTHCHECK_HELP, 'either --address or --admin', io).exit
  }
  const channel = readChannel(read.values)
  if (typeof channel === 'string') return usage('healthcheck', HEALTHCHECK_HELP, channel, io).exit
  const flags = readPairs(set)
  if (flags === undefined) return usage('healthcheck', HEALTHCHECK_HELP, SET_USAGE, io).exit
  const target =
    chooseTarget(address, admin) ?? configuredTarget({ file: config, env, flags: Object.fromEntries(flags) }, io)
  if (target === undefined) {
    io.err('not serving: the configuration is not usable\n')
    return 1
  }
  const answer = target.kind === 'grpc' ? await askGrpc(target.address, channel) : await askAdmin(target.address)
  if (answer === 'serving') {
    io.out(`serving: ${target.address}\n`)
    return 0
  }
  io.err(`not serving: ${target.address}: ${answer}\n`)
  return 1
}

function chooseTarget(address: string | undefined, admin: string | undefined): Target | undefined {
  if (address !== undefined) return { kind: 'grpc', address }
  return admin === undefined ? undefined : { kind: 'admin', address: admin }
}

/** What it depends on where to ask. */
const ADDRESS_KEYS = ['extAuthz.listen', 'admin.listen', 'b7a.observability.metrics.prometheus.port']

/**
 * A file that was broken after the start does not matter to a sidecar that runs: it keeps the old configuration, and
 * certificates may be about to be replaced one by one. So what is wrong is printed, and no reason not to ask. Undefined
 * where the file, or a flag of this very command, does not say whom.
 */
function configuredTarget(options: LoadOptions, io: Io): Target | undefined {
  const { loaded, settings } = loadSettings(options)
  if (loaded.ok) return targetOf(loaded.config)
  const errors = loaded.problems.filter(({ severity }) => severity === 'error')
  for (const problem of errors) io.err(`${formatProblem(problem, options.file ?? DEFAULT_FILE)}\n`)
  const decisive = [...ADDRESS_KEYS, ...Object.keys(options.flags ?? {})]
  if (settings === undefined || errors.some(({ key }) => decisive.includes(key))) return undefined
  const reported = createReport()
  return targetOf({ extAuthz: readExtAuthz(settings, reported), admin: readAdmin(settings, reported) })
}

function targetOf({ extAuthz, admin }: Pick<Config, 'extAuthz' | 'admin'>): Target {
  const [listen] = extAuthz.listen
  if (listen === undefined || extAuthz.tls !== undefined) {
    return { kind: 'admin', address: joinReachable(admin.listen.host, admin.listen.port) }
  }
  const address = listen.kind === 'unix' ? `unix:${listen.path}` : joinReachable(listen.host, listen.port)
  return { kind: 'grpc', address }
}

/** An address that stands for all of this machine's is asked on loopback. */
function joinReachable(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}

function askGrpc(address: string, channel: ChannelCredentials): Promise<string> {
  const { Check: method } = healthService
  if (method === undefined) return Promise.resolve('no health service is defined')
  const client = new Client(address, channel)
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      {},
      { deadline: Date.now() + TIMEOUT_MS },
      (error, reply: unknown) => {
        client.close()
        if (error !== null) resolve(`no answer (gRPC status ${error.code})`)
        else resolve(isServing(reply) ? 'serving' : 'it says NOT_SERVING')
      },
    )
  })
}

function isServing(reply: unknown): boolean {
  return typeof reply === 'object' && reply !== null && 'status' in reply && reply.status === 'SERVING'
}

function askAdmin(address: string): Promise<string> {
  const url = URL.parse(`http://${address}/readyz`)
  if (url === null) return Promise.resolve('not an address')
  return new Promise((resolve) => {
    const asked = request(url, { timeout: TIMEOUT_MS, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode === 200 ? 'serving' : `HTTP ${response.statusCode}`)
    })
    asked.once('timeout', () => asked.destroy())
    asked.once('error', () => resolve('no answer'))
    asked.end()
  })
}
