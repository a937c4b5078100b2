/** RFC 8414 metadata: where the endpoints are, as the authorization server itself says; read again every hour. */
import type { Clock, Log } from '../authz/ports.ts'
import { metadataIssuers, urlProblem } from '../config/url.ts'
import { fetchText } from '../net/http.ts'
import type { TlsOptions } from '../net/tls.ts'

export interface Endpoints {
  /** Undefined: the metadata names none that may be used, and none is needed. */
  readonly introspection: string | undefined
  /** '': the metadata names none that may be used. */
  readonly token: string
}

export interface Discovery {
  /** What is known; a Promise only while the first answer is out. Never rejects; undefined: nothing is known. */
  endpoints(): Endpoints | undefined | Promise<Endpoints | undefined>
  /** What was read last. */
  known(): Endpoints | undefined
  lastError(): string | undefined
  close(): void
}

export interface DiscoveryOptions {
  readonly url: string
  readonly allowInsecure: boolean
  /**
   * Where a certificate authenticates us: `mtls_endpoint_aliases` come first (RFC 8705 section 5), and there only https
   * will do, because http shows none.
   */
  readonly mutualTls: 'introspection' | 'token' | undefined
  /** False: its address is written, so metadata without `introspection_endpoint` will do. Default true. */
  readonly introspectionNeeded?: boolean
  /** Read before a reload, from this very address and for the same use: in force until it is read again. Default none. */
  readonly known?: Endpoints | undefined
  readonly tls: TlsOptions
  readonly proxy: string | undefined
  readonly clock: Clock
  readonly log: Log
}

const READ_EVERY_MS = 3_600_000
const REQUEST_MS = 5_000
const LARGEST_BYTES = 262_144
const LONGEST_BACKOFF_MS = 30_000

/** Starts reading at once. What was read last stays in force while reading fails. */
export function createDiscovery(options: DiscoveryOptions): Discovery {
  const { clock, log } = options
  let known = options.known
  let flight: Promise<Endpoints | undefined> | undefined
  let failures = 0
  let lastError: string | undefined
  let closed = false
  let stopTimer: () => void = () => undefined

  const ask = async (): Promise<Endpoints | string> => {
    const { url, tls, proxy } = options
    const answer = await fetchText(url, { timeoutMs: REQUEST_MS, maxBytes: LARGEST_BYTES, tls, proxy, clock })
    return answer.ok ? readMetadata(answer.status, answer.text, options) : answer.detail
  }
  const read = async (): Promise<Endpoints | undefined> => {
    // Whatever happens, it is read again.
    const result = await ask().catch(() => 'the metadata could not be read')
    flight = undefined
    if (typeof result === 'string') {
      failures += 1
      lastError = result
      log.warn('discovery_failed', { detail: result, stillInForce: known !== undefined })
    } else {
      if (known?.introspection !== result.introspection || known?.token !== result.token)
        log.info('endpoints_discovered', { introspection: result.introspection, token: result.token })
      failures = 0
      lastError = undefined
      known = result
    }
    const backoffMs = Math.min(1_000 * 2 ** Math.min(failures - 1, 10), LONGEST_BACKOFF_MS)
    if (!closed) stopTimer = clock.after(failures === 0 ? READ_EVERY_MS : backoffMs, start)
    return known
  }
  const start = (): void => {
    flight = read()
  }
  start()

  return {
    endpoints: () => known ?? flight,
    known: () => known,
    lastError: () => lastError,
    close() {
      closed = true
      stopTimer()
    },
  }
}

/** The endpoints, or what is wrong with the metadata. */
export function readMetadata(
  status: number,
  text: string,
  {
    url,
    allowInsecure,
    mutualTls,
    introspectionNeeded = true,
  }: Pick<DiscoveryOptions, 'url' | 'allowInsecure' | 'mutualTls' | 'introspectionNeeded'>,
): Endpoints | string {
  if (status !== 200) return `the metadata address answered ${status}`
  let metadata: unknown
  try {
    metadata = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch {
    return 'the metadata is no JSON'
  }
  // RFC 8414 section 3.3: another issuer's metadata must not be used.
  const issuer = member(metadata, 'issuer')
  if (typeof issuer !== 'string' || !metadataIssuers(url).includes(issuer))
    return 'the issuer in the metadata is not the one its address stands for (RFC 8414 section 3.3)'
  const aliases = mutualTls !== undefined ? member(metadata, 'mtls_endpoint_aliases') : undefined
  const endpoint = (name: string, byCertificate: boolean): string | undefined => {
    const found = member(aliases, name) ?? member(metadata, name)
    const usable = typeof found === 'string' && urlProblem(found, { allowInsecure, allowQuery: true }) === undefined
    return usable && (!byCertificate || new URL(found).protocol === 'https:') ? found : undefined
  }
  const byCertificate = mutualTls === 'introspection'
  const introspection = endpoint('introspection_endpoint', byCertificate)
  if (introspection === undefined && introspectionNeeded)
    return `the metadata names no introspection_endpoint that may be used${byCertificate ? ': tls_client_auth needs https' : ''}`
  return { introspection, token: endpoint('token_endpoint', mutualTls === 'token') ?? '' }
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
  const members: Record<string, unknown> = Object.assign(Object.create(null), value)
  return members[name]
}
