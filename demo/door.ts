/** How the demo knocks: through a real Envoy where there is one, else as Envoy would, with Checks over gRPC. */
import { credentials, makeGenericClientConstructor } from '@grpc/grpc-js'
import { loadedAuthorization } from '../src/envoy/definition.ts'

export interface Knock {
  readonly method: string
  readonly path: string
  readonly token: string | undefined
}

/** What a client would see, and what the upstream got. */
export interface Seen {
  readonly status: number
  readonly challenge: string | undefined
  readonly retryAfter: string | undefined
  readonly faultCode: number | undefined
  /** Headers that the sidecar gave the upstream. */
  readonly upstream: Readonly<Record<string, string>>
}

export interface Door {
  readonly name: string
  /** Where a person can knock with curl; undefined where only gRPC is spoken. */
  readonly url: string | undefined
  knock(knock: Knock): Promise<Seen>
  close(): Promise<void>
}

interface HeaderOption {
  readonly header?: { readonly key?: string; readonly value?: string }
}

interface Reply {
  readonly status?: { readonly code?: number }
  readonly denied_response?: {
    readonly status?: { readonly code?: number | string }
    readonly headers?: readonly HeaderOption[]
    readonly body?: string
  }
  readonly ok_response?: { readonly headers?: readonly HeaderOption[] }
}

const HTTP_OF_ENUM: Readonly<Record<string, number>> = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  InternalServerError: 500,
  ServiceUnavailable: 503,
}

/** Sends Checks to `address` as Envoy would. */
export function openGrpcDoor(address: string): Door {
  const Client = makeGenericClientConstructor(loadedAuthorization, 'Authorization')
  const client = new Client(address, credentials.createInsecure())
  return {
    name: 'Checks over gRPC (no Envoy on this machine)',
    url: undefined,
    knock: ({ method, path, token }) =>
      new Promise((resolve, reject) => {
        const headers = {
          ':method': method,
          ':path': path,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        }
        const request = { attributes: { request: { http: { method, path, host: 'shop.example.com', headers } } } }
        const call = client['Check']
        if (call === undefined) return reject(new Error('proto/ has no Check'))
        call.call(client, request, { deadline: Date.now() + 5000 }, (error: Error | null, reply: Reply) => {
          if (error !== null) reject(error)
          else resolve(seenIn(reply))
        })
      }),
    async close() {
      client.close()
    },
  }
}

function seenIn(reply: Reply): Seen {
  const denied = reply.denied_response
  const code = denied?.status?.code
  const status = typeof code === 'string' ? (HTTP_OF_ENUM[code] ?? 0) : (code ?? 200)
  const headers = plain(denied?.headers)
  return {
    status: denied === undefined ? 200 : status,
    challenge: headers['www-authenticate'],
    retryAfter: headers['retry-after'],
    faultCode: faultCodeIn(denied?.body ?? ''),
    upstream: plain(reply.ok_response?.headers),
  }
}

function plain(options: readonly HeaderOption[] = []): Record<string, string> {
  return Object.fromEntries(options.map(({ header }) => [(header?.key ?? '').toLowerCase(), header?.value ?? '']))
}

/** WSO2's fault code in a deny body. */
export function faultCodeIn(body: string): number | undefined {
  const found = /"code":(\d+)/.exec(body)?.[1]
  return found === undefined ? undefined : Number(found)
}
