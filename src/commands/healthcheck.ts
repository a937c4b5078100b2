/** `healthcheck`: for container probes. */

import { request } from 'node:http'
import { type ChannelCredentials, Client } from '@grpc/grpc-js'
import { joinHostPort } from '../config/address.ts'
import type { Config, Problem } from '../config/config.ts'
import { readAdmin, readExtAuthz } from '../config/listener-rules.ts'
import { DEFAULT_FILE, type LoadOptions, loadSettings, settingsWithoutFile } from '../config/load.ts'
import { createReport } from '../config/report.ts'
import { healthService } from '../envoy/definition.ts'
import { readChannel, TLS_HELP, TLS_OPTIONS } from './channel.ts'
import { formatProblem } from './check-config.ts'
import { CONFIGURATION_OPTIONS, readFlags, SET_HELP, SET_USAGE, usage } from './flags.ts'
import type { Io } from './io.ts'
import { readPairs } from './pairs.ts'

const TIMEOUT_MS = 2000

const WHERE =
  'Where it listens elsewhere than the configuration says now, name its address: --admin HOST:PORT or --address ADDRESS.\n'

export const HEALTHCHECK_HELP = `Usage: micro-gw-authz healthcheck [--address ADDRESS | --admin HOST:PORT] [--config FILE] [--set KEY=VALUE]...

Asks a running sidecar whether it serves. Without an address it asks where the configuration says it listens:
the gRPC health service, or /readyz of the admin listener where the ext_authz port speaks TLS. Where the file has become
unusable both are asked, as far as it can still be read: what runs keeps the old configuration. Of a file that is no TOML
nothing is known but the environment, --set and the defaults: give --admin where admin.listen is another in that file.

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
  const chosen = chooseTarget(address, admin)
  const targets =
    chosen === undefined ? configuredTargets({ file: config, env, flags: Object.fromEntries(flags) }, io) : [chosen]
  const answers = await Promise.all(
    targets.map(({ kind, address: at }) => (kind === 'grpc' ? askGrpc(at, channel) : askAdmin(at))),
  )
  const heard = answers.findIndex(({ kind }) => kind !== 'silent')
  if (answers[heard]?.kind === 'serving') {
    io.out(`serving: ${targets[heard]?.address}\n`)
    return 0
  }
  for (const [index, { text }] of answers.entries()) io.err(`not serving: ${targets[index]?.address}: ${text}\n`)
  if (targets.length === 0) io.err('not serving: the configuration does not say whom to ask\n')
  else if (chosen === undefined && heard < 0) io.err(WHERE)
  return 1
}

function chooseTarget(address: string | undefined, admin: string | undefined): Target | undefined {
  if (address !== undefined) return { kind: 'grpc', address }
  return admin === undefined ? undefined : { kind: 'admin', address: admin }
}

/**
 * A file that was broken after the start does not matter to a sidecar that runs: it keeps the old configuration, and
 * certificates may be about to be replaced one by one. So what is wrong is printed, and no reason not to ask; as it may
 * be the address that is wrong, both listeners are asked. None where a flag of this very command is wrong.
 */
function configuredTargets(options: LoadOptions, io: Io): readonly Target[] {
  const { loaded, settings } = loadSettings(options)
  if (loaded.ok) {
    const grpc = grpcTarget(loaded.config.extAuthz)
    return grpc.length > 0 ? grpc : adminTarget(loaded.config.admin)
  }
  const reported = createReport()
  const known = settings ?? settingsWithoutFile(options, reported)
  const targets = [...grpcTarget(readExtAuthz(known, reported)), ...adminTarget(readAdmin(known, reported))]
  const flags = new Set(Object.keys(options.flags ?? {}).map((key) => key.toLowerCase()))
  const isFlag = ({ key }: Problem): boolean => flags.has(key.toLowerCase())
  const errors = loaded.problems.filter(isError)
  const ofFlags = reported.problems().filter((problem) => isError(problem) && isFlag(problem))
  for (const problem of settings === undefined ? [...errors, ...ofFlags] : errors)
    io.err(`${formatProblem(problem, options.file ?? DEFAULT_FILE)}\n`)
  return ofFlags.length > 0 || errors.some(isFlag) ? [] : targets
}

const isError = ({ severity }: Problem): boolean => severity === 'error'

function grpcTarget({ listen: [listen], tls }: Config['extAuthz']): readonly Target[] {
  if (listen === undefined || tls !== undefined) return []
  return [
    { kind: 'grpc', address: listen.kind === 'unix' ? `unix:${listen.path}` : joinReachable(listen.host, listen.port) },
  ]
}

function adminTarget({ listen }: Config['admin']): readonly Target[] {
  return listen.host === '' ? [] : [{ kind: 'admin', address: joinReachable(listen.host, listen.port) }]
}

/** An address that stands for all of this machine's is asked on loopback. */
function joinReachable(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return joinHostPort({ host: reachable, port })
}

/** `silent`: nobody there, or somebody who does not know the question. */
interface Answer {
  readonly kind: 'serving' | 'not-serving' | 'silent'
  readonly text: string
}

function askGrpc(address: string, channel: ChannelCredentials): Promise<Answer> {
  const { Check: method } = healthService
  if (method === undefined) return Promise.resolve({ kind: 'silent', text: 'no health service is defined' })
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
        if (error !== null) resolve({ kind: 'silent', text: `no answer (gRPC status ${error.code})` })
        else if (isServing(reply)) resolve({ kind: 'serving', text: '' })
        else resolve({ kind: 'not-serving', text: 'it says NOT_SERVING' })
      },
    )
  })
}

function isServing(reply: unknown): boolean {
  return typeof reply === 'object' && reply !== null && 'status' in reply && reply.status === 'SERVING'
}

function askAdmin(address: string): Promise<Answer> {
  const url = URL.parse(`http://${address}/readyz`)
  if (url === null) return Promise.resolve({ kind: 'silent', text: 'not an address' })
  return new Promise((resolve) => {
    const asked = request(url, { signal: AbortSignal.timeout(TIMEOUT_MS), agent: false }, (response) => {
      response.resume()
      resolve({
        kind: response.statusCode === 200 ? 'serving' : 'not-serving',
        text: `HTTP ${response.statusCode}`,
      })
    })
    asked.once('error', () => resolve({ kind: 'silent', text: 'no answer' }))
    asked.end()
  })
}
