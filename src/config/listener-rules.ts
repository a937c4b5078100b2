/** `[extAuthz]` and `[admin]`. */
import { isIPv6 } from 'node:net'
import { type ReadAddress, readHostPort, readListenAddress } from './address.ts'
import type { Config, HostPort, ListenAddress } from './config.ts'
import type { Report } from './report.ts'
import type { Settings } from './settings.ts'
import { readAuthorities, readPair } from './tls-rules.ts'
import { isLoopback, urlProblem } from './url.ts'

const METRICS = 'b7a.observability.metrics'

/** The listener Envoy calls. */
export function readExtAuthz(settings: Settings, report: Report): Config['extAuthz'] {
  const tls = readListenerTls(settings, report)
  const listen = readListen(settings, report)
  if (
    tls?.clientCaFile === undefined &&
    listen.some((address) => address.kind === 'tcp' && !isLoopback(address.host))
  ) {
    report.warning(
      'extAuthz.listen',
      'This port can be reached from outside without a client certificate: it tells anyone whether a token is valid. Bind loopback or a Unix socket, or set extAuthz.tls.clientCaFile.',
    )
  }
  const unavailable = settings.text('extAuthz.unavailable') === 'error' ? 'error' : 'deny'
  if (unavailable === 'error') {
    report.warning(
      'extAuthz.unavailable',
      "Where Envoy's failure_mode_allow is on, it forwards such a request unmodified, the client's own identity headers included. Remove them with request_headers_to_remove or an earlier filter.",
    )
  }
  return {
    listen,
    socketMode: readSocketMode(settings, report),
    workers: readWorkers(settings),
    realm: readRealm(settings, report),
    unavailable,
    drainDelayMs: settings.durationMs('extAuthz.drainDelay'),
    drainTimeoutMs: settings.durationMs('extAuthz.drainTimeout'),
    drainHealth: settings.isOn('extAuthz.drainHealth'),
    allowCorsPreflight: settings.isOn('extAuthz.allowCorsPreflight'),
    resourceMetadata: readResourceMetadata(settings, report),
    tls,
  }
}

function readListen(settings: Settings, report: Report): readonly ListenAddress[] {
  const texts = settings.list('extAuthz.listen')
  const addresses = texts.flatMap((text) => found(readListenAddress(text), 'extAuthz.listen', report))
  if (texts.length === 0) report.error('extAuthz.listen', 'Is an empty list: name at least one address.')
  if (addresses.some((address, index) => addresses.slice(index + 1).some((other) => clash(address, other))))
    report.error('extAuthz.listen', 'Names the same address twice, or one that another includes.')
  return addresses
}

function found<T>(read: ReadAddress<T>, key: string, report: Report): readonly T[] {
  if (read.kind === 'address') return [read.address]
  report.error(key, `The address ${read.problem}.`)
  return []
}

function readSocketMode(settings: Settings, report: Report): number {
  const text = settings.text('extAuthz.socketMode') ?? ''
  if (/^0?[0-7]{3}$/.test(text)) return Number.parseInt(text, 8)
  report.error('extAuthz.socketMode', 'Must be an octal mode in quotes, such as "0660".')
  return 0
}

function readWorkers(settings: Settings): number | 'auto' {
  const workers = settings.value('extAuthz.workers')
  return typeof workers === 'number' ? workers : 'auto'
}

function readRealm(settings: Settings, report: Report): string {
  const realm = settings.text('extAuthz.realm') ?? ''
  // It stands in a quoted-string of RFC 9110 section 5.6.4; what needs escaping is refused.
  if (!/^[\x20-\x21\x23-\x5b\x5d-\x7e]{1,128}$/.test(realm)) {
    report.error('extAuthz.realm', 'Must be 1 to 128 printable ASCII characters without `"` and `\\`.')
  }
  return realm
}

function readResourceMetadata(settings: Settings, report: Report): string | undefined {
  const url = settings.text('extAuthz.resourceMetadata')
  if (url === undefined) return undefined
  const problem = url.includes('"') ? 'may not hold `"`' : urlProblem(url, { allowInsecure: false, allowQuery: true })
  if (problem !== undefined) report.error('extAuthz.resourceMetadata', `The URL ${problem.replace(/\..*/s, '')}.`)
  return url
}

function readListenerTls(settings: Settings, report: Report): Config['extAuthz']['tls'] {
  const base = 'extAuthz.tls'
  const { certFile, keyFile } = readPair(settings, base, report)
  const clientCaFile = readAuthorities(settings, `${base}.clientCaFile`, report)
  if (certFile !== undefined && keyFile !== undefined) return { certFile, keyFile, clientCaFile }
  if (certFile !== undefined || keyFile !== undefined || clientCaFile !== undefined) {
    report.error(base, 'TLS needs both `certFile` and `keyFile`.')
  }
  return undefined
}

/** Probes and metrics for everybody, the rest for loopback. */
export function readAdmin(settings: Settings, report: Report): Config['admin'] {
  const port = settings.integer(`${METRICS}.prometheus.port`)
  const written = settings.isWritten('admin.listen')
  const text = written ? (settings.text('admin.listen') ?? '') : `0.0.0.0:${port}`
  const [listen] = found(readHostPort(text), 'admin.listen', report)
  const local = settings.text('admin.localListen') ?? ''
  const [localListen] = local === '' ? [] : found(readHostPort(local), 'admin.localListen', report)
  if (localListen !== undefined && !isLoopback(localListen.host)) {
    report.warning(
      'admin.localListen',
      'Serves configuration and decisions without authentication: bind it to loopback, or switch it off with "".',
    )
  }
  checkDistinct(settings, listen, localListen, report)
  if (settings.isWritten('admin.revocationToken')) {
    report.error('admin.revocationToken', 'Revocation is not supported yet. Remove the key.')
  }
  const metrics = settings.isOn(`${METRICS}.enabled`)
  if (!metrics) {
    // Both templates of WSO2 write false.
    report.notice(
      `${METRICS}.enabled`,
      'Switches the metrics off: `/metrics` answers 404. Remove the line to have them.',
    )
  }
  return { listen: listen ?? { host: '', port: 0 }, localListen, metrics }
}

function checkDistinct(
  settings: Settings,
  listen: HostPort | undefined,
  localListen: HostPort | undefined,
  report: Report,
): void {
  const [admin, local] = [listen, localListen].map((one): ListenAddress | undefined => one && { kind: 'tcp', ...one })
  if (admin !== undefined && local !== undefined && clash(admin, local))
    report.error('admin.localListen', 'Has the port of admin.listen. Choose another.')
  for (const text of settings.list('extAuthz.listen')) {
    const read = readListenAddress(text)
    if (read.kind !== 'address') continue
    const { address } = read
    if ([admin, local].some((other) => other !== undefined && clash(address, other)))
      report.error('extAuthz.listen', 'Has the port of an admin listener. Choose another.')
  }
}

/** Whether both cannot be bound; `::` takes IPv4 too. */
function clash(one: ListenAddress, other: ListenAddress): boolean {
  if (one.kind === 'unix' || other.kind === 'unix')
    return one.kind === 'unix' && other.kind === 'unix' && one.path === other.path
  if (one.port === 0 || one.port !== other.port) return false
  const [a, b] = [one, other].map(({ host }) => (host.toLowerCase() === 'localhost' ? '127.0.0.1' : host))
  return (
    a === b ||
    a === '::' ||
    b === '::' ||
    (a === '0.0.0.0' && !isIPv6(b ?? '')) ||
    (b === '0.0.0.0' && !isIPv6(a ?? ''))
  )
}
