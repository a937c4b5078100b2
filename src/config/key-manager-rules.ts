/** `[keyManager]`: where introspection goes and how it is called. */

import { isIPv6 } from 'node:net'
import { readHostPort } from './address.ts'
import type { KeyManagerConfig, KeyManagerTls } from './config.ts'
import { formatDuration } from './duration.ts'
import type { Report } from './report.ts'
import { readSecurity } from './security-rules.ts'
import type { Settings } from './settings.ts'
import { readAuthorities, readPair } from './tls-rules.ts'
import { introspectionUrl, metadataIssuers, urlProblem } from './url.ts'

const LONGEST_SKEW_MS = 300_000

/** The message users of WSO2's files see first; the wording is part of the contract. */
const EXTERNAL_OFF =
  "keyManager.external is false (the default): that selects WSO2's own key-validation service, which this sidecar does not speak yet. Set external = true, or keyManager_external=true."

/** The key manager's part of the configuration; problems go to the report. */
export function readKeyManager(settings: Settings, report: Report): KeyManagerConfig {
  checkIntrospectionIsOn(settings, report)
  return {
    name: 'default',
    introspectUrl: readIntrospectUrl(settings, report),
    discoveryUrl: readDiscoveryUrl(settings, report),
    allowInsecure: settings.isOn('keyManager.allowInsecure'),
    timeoutMs: positive(settings, 'keyManager.timeout', report),
    connectTimeoutMs: positive(settings, 'keyManager.connectTimeout', report),
    maxInFlight: settings.integer('keyManager.maxInFlight'),
    maxWaiting: settings.integer('keyManager.maxWaiting'),
    maxAnswerSize: settings.integer('keyManager.maxAnswerSize'),
    tokenTypeHint: readTokenTypeHint(settings, report),
    startupProbe: settings.isOn('keyManager.startupProbe'),
    proxy: readProxy(settings, report),
    lenientExp: settings.isOn('keyManager.lenientExp'),
    timestampSkewMs: readSkew(settings, report),
    tls: readTls(settings, report),
    breaker: {
      failures: settings.integer('keyManager.breaker.failures'),
      openForMs: positive(settings, 'keyManager.breaker.openFor', report),
    },
    security: readSecurity(settings, report),
  }
}

/** A duration of zero would switch a bound off: refused. */
export function positive(settings: Settings, path: string, report: Report): number {
  const ms = settings.durationMs(path)
  if (ms === 0) report.error(path, 'Must be longer than zero.')
  return ms
}

function checkIntrospectionIsOn(settings: Settings, report: Report): void {
  const key = 'keyManager.external'
  const modes = ['keyManager.enableLegacyMode', 'keyManager.enableLegacyKM'].filter((path) => settings.isWritten(path))
  const external = settings.isWritten(key) ? settings.isOn(key) : undefined
  const wanted = new Set(modes.map((path) => !settings.isOn(path)))
  if (external !== undefined) wanted.add(external)
  if (wanted.size > 1) {
    const names = [...(external === undefined ? [] : [key]), ...modes].map((name) => `\`${name}\``).join(' and ')
    report.error(
      key,
      `${names} contradict each other: external = true and enableLegacyMode = false both mean introspection. Keep one.`,
    )
    return
  }
  for (const name of ['introspectUrl', 'discoveryUrl']) {
    if (!settings.isWritten(`keyManager.${name}`)) continue
    if (wanted.has(false)) report.notice(`keyManager.${name}`, `Introspection is on because ${name} is written.`)
    return
  }
  if (!wanted.has(true) && !invalid(settings, key)) report.error(key, EXTERNAL_OFF)
}

function invalid(settings: Settings, path: string): boolean {
  return !settings.isWritten(path) && !settings.isMissing(path)
}

/** Undefined where the metadata tells. */
function readIntrospectUrl(settings: Settings, report: Report): string | undefined {
  const allowInsecure = settings.isOn('keyManager.allowInsecure')
  const whole = settings.text('keyManager.introspectUrl')
  if (whole !== undefined) {
    const problem = urlProblem(whole, { allowInsecure, allowQuery: true })
    if (problem !== undefined) report.error('keyManager.introspectUrl', `\`introspectUrl\` ${problem}.`)
    for (const path of ['keyManager.serverUrl', 'keyManager.tokenContext']) {
      if (settings.isWritten(path)) report.notice(path, 'Not used, because keyManager.introspectUrl is written.')
    }
    return whole
  }
  if (settings.isWritten('keyManager.discoveryUrl')) {
    for (const path of ['keyManager.serverUrl', 'keyManager.tokenContext']) {
      if (settings.isWritten(path)) report.notice(path, 'Not used, because keyManager.discoveryUrl is written.')
    }
    return undefined
  }
  const serverUrl = settings.text('keyManager.serverUrl') ?? ''
  const problem = urlProblem(serverUrl, { allowInsecure, allowQuery: false })
  if (problem !== undefined) report.error('keyManager.serverUrl', `\`serverUrl\` ${problem}.`)
  const context = settings.text('keyManager.tokenContext') ?? ''
  if (!/^[A-Za-z0-9/._~!$&'()*+,;=:@%-]*$/.test(context) || /(^|\/)\.\.?(\/|$)/.test(context)) {
    report.error(
      'keyManager.tokenContext',
      'Must be a path such as "oauth2", without spaces, `?`, `#` and dot segments.',
    )
  }
  return introspectionUrl(serverUrl, context)
}

function readDiscoveryUrl(settings: Settings, report: Report): string | undefined {
  const key = 'keyManager.discoveryUrl'
  const url = settings.text(key)
  if (url === undefined) return undefined
  const problem = urlProblem(url, { allowInsecure: settings.isOn('keyManager.allowInsecure'), allowQuery: false })
  if (problem !== undefined) report.error(key, `\`discoveryUrl\` ${problem}.`)
  else if (metadataIssuers(url).length === 0) {
    report.error(
      key,
      'Must be the address of the metadata itself, with `/.well-known/oauth-authorization-server` or `/.well-known/openid-configuration` in it.',
    )
  }
  return url
}

function readTokenTypeHint(settings: Settings, report: Report): string | undefined {
  const hint = settings.text('keyManager.tokenTypeHint')
  if (hint !== undefined && !/^[\x21-\x7e]+$/.test(hint))
    report.error('keyManager.tokenTypeHint', 'Must be one word, such as "access_token".')
  return hint
}

/** WSO2's documentation says seconds, its code reads milliseconds; 3.2's `server.timestampSkew` is milliseconds by its comment. */
function readSkew(settings: Settings, report: Report): number {
  const key = 'keyManager.timestampSkew'
  const other = 'server.timestampSkew'
  if (settings.isMissing(key) && settings.isWritten(other)) return capSkew(settings.durationMs(other), other, report)
  const skewMs = settings.durationMs(key)
  if (settings.isWritten(key) && settings.isWritten(other) && skewMs !== settings.durationMs(other)) {
    report.warning(
      other,
      `${key} is ${formatDuration(skewMs)}, ${other} is ${formatDuration(settings.durationMs(other))}. The first counts: remove the other.`,
    )
  }
  const bare = settings.bareNumber(key)
  if (skewMs <= LONGEST_SKEW_MS || bare === undefined) return capSkew(skewMs, key, report)
  report.warning(
    key,
    `${bare} is read as seconds, as WSO2's documentation says; WSO2's code reads milliseconds, so there it meant ${formatDuration(bare)}. The effective skew is cut to 300s. Write "${formatDuration(bare)}" if that was meant.`,
  )
  return LONGEST_SKEW_MS
}

function capSkew(skewMs: number, key: string, report: Report): number {
  if (skewMs > LONGEST_SKEW_MS)
    report.warning(key, `${formatDuration(skewMs)} is more than the longest skew: 300s is used.`)
  return Math.min(skewMs, LONGEST_SKEW_MS)
}

function readProxy(settings: Settings, report: Report): string | undefined {
  const own = settings.text('keyManager.proxy')
  if (own !== undefined) {
    const read = readHostPort(own.replace(/^http:\/\//i, '').replace(/\/$/, ''))
    if (!/^http:\/\//i.test(own) || read.kind === 'problem' || read.address.port === 0) {
      report.error('keyManager.proxy', '`proxy` must be `http://host:port`, without credentials or path.')
    }
    return own
  }
  const base = 'httpClients.proxy'
  if (!settings.isOn(`${base}.enableInternalServices`)) {
    if (settings.isOn(`${base}.enable`))
      report.notice(base, 'Not used: enableInternalServices is not true, and calls to the upstream are not ours.')
    return undefined
  }
  const host = settings.text(`${base}.host`)
  const port = settings.isWritten(`${base}.port`) ? settings.integer(`${base}.port`) : 0
  const authority = isIPv6(host ?? '') ? `[${host}]` : (host ?? '')
  if (host === undefined || port === 0) report.error(base, 'enableInternalServices = true needs `host` and `port`.')
  else if (readHostPort(`${authority}:${port}`).kind === 'problem')
    report.error(`${base}.host`, 'Must be a host name or address.')
  if (settings.isWritten(`${base}.username`) || settings.isWritten(`${base}.password`)) {
    report.error(base, 'Credentials for the proxy are not supported yet. Remove `username` and `password`.')
  }
  return `http://${authority}:${port}`
}

function readTls(settings: Settings, report: Report): KeyManagerTls {
  const base = 'keyManager.tls'
  const { certFile, keyFile } = readPair(settings, base, report)
  if (settings.isWritten(`${base}.certFile`) !== settings.isWritten(`${base}.keyFile`)) {
    report.error(base, 'Mutual TLS needs both `certFile` and `keyFile`.')
  }
  const insecure = settings.isOn(`${base}.insecure`)
  if (insecure) {
    report.warning(
      `${base}.insecure`,
      'The certificate of the key manager is NOT verified: anyone on the way can read tokens and say "active". Use caFile instead.',
    )
  }
  const serverName = settings.text(`${base}.serverName`)
  if (serverName !== undefined && !/^[A-Za-z0-9._-]+$/.test(serverName))
    report.error(`${base}.serverName`, 'Must be a host name.')
  return {
    caFile: readAuthorities(settings, `${base}.caFile`, report),
    certFile,
    keyFile,
    minVersion: settings.text(`${base}.minVersion`) === 'TLSv1.3' ? 'TLSv1.3' : 'TLSv1.2',
    serverName,
    insecure,
  }
}
