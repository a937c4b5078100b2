/** Acts as Envoy: sends Checks over real gRPC, through the loader's codec or as raw bytes. */
import { ChannelCredentials, type Client, type ClientUnaryCall, Metadata, makeClientConstructor } from '@grpc/grpc-js'
import { authorizationService, loadedAuthorization } from '../../src/envoy/definition.ts'

export interface HeaderValueObject {
  key?: string
  value?: string
  raw_value?: Buffer
}

export interface HeaderValueOptionObject {
  header?: HeaderValueObject
  append?: { value?: boolean }
  append_action?: string
}

export interface CheckRequestObject {
  attributes?: {
    source?: object
    destination?: object
    request?: {
      http?: {
        id?: string
        method?: string
        path?: string
        host?: string
        scheme?: string
        protocol?: string
        headers?: Record<string, string>
        header_map?: { headers: HeaderValueObject[] }
      }
    }
    context_extensions?: Record<string, string>
  }
}

export interface ResponseHalf {
  status?: { code?: string | number }
  headers?: HeaderValueOptionObject[]
  headers_to_remove?: string[]
  body?: string
}

export interface ValueObject {
  nullValue?: string
  numberValue?: number
  stringValue?: string
  boolValue?: boolean
  structValue?: StructObject
  listValue?: { values?: ValueObject[] }
}

export interface StructObject {
  fields?: Record<string, ValueObject>
}

/** As the loader reads it: snake_case, enums as text, absent members absent. */
export interface CheckResponseObject {
  status?: { code?: number; message?: string }
  denied_response?: ResponseHalf
  ok_response?: ResponseHalf
  error_response?: ResponseHalf
  dynamic_metadata?: StructObject
}

export interface CheckOptions {
  /** From now, ms; without it the call has no deadline. */
  deadlineMs?: number
  /** gRPC metadata; a list for a name that comes more than once. */
  metadata?: Readonly<Record<string, string | readonly string[]>>
}

export interface CheckClient {
  check(request: CheckRequestObject, options?: CheckOptions): Promise<CheckResponseObject>
  /** Sends these bytes as the message and resolves with the reply's. */
  raw(bytes: Buffer, options?: CheckOptions): Promise<Buffer>
  /** Sends and hands out the call, to cancel it. */
  start(
    request: CheckRequestObject,
    options?: CheckOptions,
  ): { call: ClientUnaryCall; reply: Promise<CheckResponseObject> }
  close(): void
}

const check = loadedMethod()

function loadedMethod() {
  const method = Object.values(loadedAuthorization)[0]
  if (method === undefined) throw new Error('no Check method in the definition')
  return method
}

/** @param address `127.0.0.1:PORT` or `unix:/path`. Each client has a connection of its own. */
export function connectChecks(address: string, options: { credentials?: ChannelCredentials } = {}): CheckClient {
  const Constructor = makeClientConstructor({}, 'Authorization')
  const client: Client = new Constructor(address, options.credentials ?? ChannelCredentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1,
  })

  function send<Request, Reply>(
    serialize: (request: Request) => Buffer,
    deserialize: (bytes: Buffer) => Reply,
    request: Request,
    { deadlineMs, metadata = {} }: CheckOptions = {},
  ): { call: ClientUnaryCall; reply: Promise<Reply> } {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>()
    const callOptions = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs }
    const call = client.makeUnaryRequest(
      authorizationService.Check.path,
      serialize,
      deserialize,
      request,
      metadataOf(metadata),
      callOptions,
      (error, reply) => {
        if (error !== null) reject(error)
        else if (reply === undefined) reject(new Error('no reply'))
        else resolve(reply)
      },
    )
    return { call, reply: promise }
  }

  function start(request: CheckRequestObject, options?: CheckOptions) {
    const deserialize = (bytes: Buffer): CheckResponseObject => check.responseDeserialize(bytes) as CheckResponseObject
    return send((object: CheckRequestObject) => check.requestSerialize(object), deserialize, request, options)
  }

  return {
    check: (request, options) => start(request, options).reply,
    raw: (bytes, options) =>
      send(
        (sent: Buffer) => sent,
        (received) => received,
        bytes,
        options,
      ).reply,
    start,
    close: () => client.close(),
  }
}

function metadataOf(entries: Readonly<Record<string, string | readonly string[]>>): Metadata {
  const metadata = new Metadata()
  for (const [name, values] of Object.entries(entries)) for (const value of [values].flat()) metadata.add(name, value)
  return metadata
}

/** The bytes of a request, by the loader's codec. */
export function encodeCheck(request: CheckRequestObject): Buffer {
  return check.requestSerialize(request)
}

/** The loader's reading of a reply's bytes. */
export function decodeReply(bytes: Buffer): CheckResponseObject {
  return check.responseDeserialize(bytes) as CheckResponseObject
}

/** A Check as Envoy sends it: header map mode by default, raw header mode where `rawHeaders` is given. */
export function httpCheck(
  request: {
    method?: string
    path?: string
    host?: string
    headers?: Record<string, string>
    rawHeaders?: [string, Buffer][]
    context?: Record<string, string>
  } = {},
): CheckRequestObject {
  const { method = 'GET', path = '/', host = 'api.example.com', headers = {}, rawHeaders, context } = request
  const pseudo = { ':method': method, ':path': path, ':authority': host, ':scheme': 'http' }
  const map =
    rawHeaders === undefined
      ? { headers: { ...pseudo, ...headers } }
      : {
          header_map: {
            headers: [
              ...Object.entries({ ...pseudo, ...headers }).map(([key, value]) => ({
                key,
                raw_value: Buffer.from(value),
              })),
              ...rawHeaders.map(([key, value]) => ({ key, raw_value: value })),
            ],
          },
        }
  return {
    attributes: {
      request: { http: { id: '1', method, path, host, scheme: 'http', protocol: 'HTTP/1.1', ...map } },
      ...(context === undefined ? {} : { context_extensions: context }),
    },
  }
}
