/** `check`: acts as Envoy against a running sidecar. */
import { type ChannelCredentials, Client } from '@grpc/grpc-js'
import { loadedAuthorization } from '../envoy/definition.ts'
import { readChannel, TLS_HELP, TLS_OPTIONS } from './channel.ts'
import { readFlags, usage } from './flags.ts'
import type { Io } from './io.ts'
import { readPairs } from './pairs.ts'
import { describeReply } from './reply-text.ts'
import { readTextFile } from './text-source.ts'

export const CHECK_HELP = `Usage: micro-gw-authz check [flags]

Sends one Check, as Envoy does for a request, and prints what Envoy would do with the answer.

  --address ADDRESS   127.0.0.1:9001 (default) or unix:/path
${TLS_HELP}  --method METHOD     default GET
  --path PATH         default /
  --host HOST         default localhost
  --header LINE       'name: value', repeatable. --header @FILE reads such lines from a file:
                      a token given as an argument can be read in the process list
  --context KEY=VALUE the route's context_extensions, repeatable
  --timeout MS        the deadline, default 5000 (Envoy's own default is 200)

Exit status: 0 allowed, 1 denied, 2 wrong usage, 3 no answer.
`

type Headers = Map<string, string>

export async function runCheck(args: readonly string[], _env: unknown, io: Io): Promise<number> {
  const options = {
    address: { type: 'string', default: '127.0.0.1:9001' },
    method: { type: 'string', default: 'GET' },
    path: { type: 'string', default: '/' },
    host: { type: 'string', default: 'localhost' },
    header: { type: 'string', multiple: true },
    context: { type: 'string', multiple: true },
    timeout: { type: 'string', default: '5000' },
    ...TLS_OPTIONS,
  } as const
  const read = readFlags('check', CHECK_HELP, args, options, io)
  if (!read.ok) return read.exit
  const { address, method, path, host, timeout } = read.values
  const timeoutMs = Number(timeout)
  const headers = await readHeaders(read.values.header ?? [])
  const context = readPairs(read.values.context ?? [])
  if (typeof headers === 'string') return usage('check', CHECK_HELP, headers, io).exit
  if (context === undefined) return usage('check', CHECK_HELP, '--context takes KEY=VALUE', io).exit
  const channel = readChannel(read.values)
  if (typeof channel === 'string') return usage('check', CHECK_HELP, channel, io).exit
  if (!(timeoutMs > 0)) return usage('check', CHECK_HELP, '--timeout takes milliseconds', io).exit

  const pseudo = { ':method': method, ':path': path, ':authority': host, ':scheme': 'http' }
  const http = { method, path, host, scheme: 'http', protocol: 'HTTP/1.1' }
  const request = {
    attributes: {
      request: { http: { ...http, headers: { ...pseudo, ...Object.fromEntries(headers) } } },
      context_extensions: Object.fromEntries(context),
    },
  }
  const answered = await send({ address, channel }, request, timeoutMs)
  if (!answered.ok) {
    io.err(`no answer from ${address} (gRPC status ${answered.code}): Envoy would count an error\n`)
    return 3
  }
  const { allowed, text } = describeReply(answered.reply, answered.tookMs)
  io.out(text)
  return allowed ? 0 : 1
}

/** Same names are joined by a comma, as Envoy's header map does. A text says what is wrong, without the value. */
async function readHeaders(given: readonly string[]): Promise<Headers | string> {
  const lines: string[] = []
  for (const one of given) {
    if (!one.startsWith('@')) {
      lines.push(one)
      continue
    }
    const text = await readTextFile(one.slice(1))
    if (text === undefined) return `--header cannot read ${one.slice(1)}`
    lines.push(...text.split(/\r?\n/).filter((line) => line !== ''))
  }
  const headers: Headers = new Map()
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon < 1) return "--header takes 'name: value'"
    const name = line.slice(0, colon).trim().toLowerCase()
    const value = line.slice(colon + 1).trim()
    const before = headers.get(name)
    headers.set(name, before === undefined ? value : `${before},${value}`)
  }
  return headers
}

type Answered =
  | { readonly ok: true; readonly reply: unknown; readonly tookMs: number }
  | { readonly ok: false; readonly code: number }

function send(
  to: { readonly address: string; readonly channel: ChannelCredentials },
  request: object,
  timeoutMs: number,
): Promise<Answered> {
  const method = Object.values(loadedAuthorization)[0]
  if (method === undefined) return Promise.resolve({ ok: false, code: 12 })
  const client = new Client(to.address, to.channel)
  const startedAtMs = performance.now()
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      { deadline: Date.now() + timeoutMs },
      (error, reply: unknown) => {
        client.close()
        if (error !== null) resolve({ ok: false, code: error.code })
        else resolve({ ok: true, reply, tookMs: performance.now() - startedAtMs })
      },
    )
  })
}
