/** Header names: where credentials come from, and which headers the upstream gets. */
import type { Config } from './config.ts'
import { nameProblem as claimProblem } from './policy-words.ts'
import { isReference, type Resolved, resolveReference } from './references.ts'
import type { Report } from './report.ts'
import type { Settings } from './settings.ts'

const DEFAULTS = [
  ['x-auth-subject', 'sub'],
  ['x-auth-username', 'username'],
  ['x-auth-client-id', 'client_id'],
  ['x-auth-scope', 'scope'],
] as const

/** RFC 9110 section 7.6.1, with what proxies treat alike. */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

/** Metadata members this sidecar fills itself. */
const OWN_METADATA = ['reason', 'decision_id', 'cache', 'max_age_seconds']

/** The credentials header; WSO2 writes `Authorization`, on the wire it is lower-case. */
export function readCredentials(settings: Settings, report: Report): Config['credentials'] {
  const key = 'authConfig.authorizationHeader'
  const header = (settings.text(key) ?? '').toLowerCase()
  const problem = nameProblem(header)
  if (problem !== undefined) report.error(key, `The header name ${problem}.`)
  return { header, remove: settings.isOn('authConfig.removeAuthHeaderFromOutMessage') }
}

/** Effective headers, and every name that is ours to set. */
export function readUpstreamHeaders(
  settings: Settings,
  credentialsHeader: string,
  report: Report,
): Pick<Config, 'upstreamHeaders' | 'managedHeaders'> {
  const headers = new Map<string, string>(DEFAULTS)
  const written = settings.value('upstreamHeaders')
  for (const [header, claim] of written instanceof Map ? written : []) {
    const key = `upstreamHeaders.${header}`
    const problem = header === credentialsHeader ? 'is the credentials header' : nameProblem(header)
    const twin = twinOf(header, credentialsHeader, [...headers.keys()])
    if (problem !== undefined) report.error(key, `The header name ${problem}.`)
    else if (twin !== undefined)
      report.error(key, `Differs from ${twin} only in \`_\`, which many upstreams read alike. Choose another name.`)
    else if (typeof claim !== 'string') report.error(key, 'Must be the name of a claim, in quotes.')
    else headers.set(header, readClaim(claim, key, settings, report))
  }
  const managed = [...headers.keys()].filter((header) => !(written instanceof Map && written.has(header)))
  checkCredentialsHeader(credentialsHeader, managed, report)
  return {
    upstreamHeaders: [...headers].filter(([, claim]) => claim !== '').map(([header, claim]) => ({ header, claim })),
    managedHeaders: [...headers.keys()],
  }
}

function readClaim(claim: string, key: string, settings: Settings, report: Report): string {
  const resolved: Resolved = isReference(claim)
    ? resolveReference(claim, settings.env)
    : { kind: 'text', text: claim, file: undefined }
  if (resolved.file !== undefined) settings.usesFile(resolved.file)
  const problem = resolved.kind === 'text' ? claimProblem(resolved.text) : resolved.problem
  if (problem !== undefined) report.error(key, `The name of the claim ${problem}.`)
  return resolved.kind === 'text' ? resolved.text : ''
}

/** The credentials would be taken for identity, and removed or overwritten before the upstream whatever is configured. */
function checkCredentialsHeader(header: string, managed: readonly string[], report: Report): void {
  const other = managed.find((one) => areAlike(one, header))
  if (other === undefined) return
  const what = other === header ? `\`${other}\` is a header` : `Differs only in \`_\` from \`${other}\`, a header`
  report.error('authConfig.authorizationHeader', `${what} that this sidecar sets or removes itself. Name another.`)
}

/** What is already there and differs only in `_`, as words. */
function twinOf(header: string, credentialsHeader: string, managed: readonly string[]): string | undefined {
  if (areAlike(header, credentialsHeader)) return 'the credentials header'
  const twin = managed.find((other) => other !== header && areAlike(other, header))
  return twin === undefined ? undefined : `\`${twin}\``
}

/** Many upstreams read `_` and `-` alike, as CGI does (RFC 3875 section 4.1.18). */
function areAlike(one: string, other: string): boolean {
  return one.replaceAll('_', '-') === other.replaceAll('_', '-')
}

function nameProblem(header: string): string | undefined {
  if (header.toLowerCase() !== header) return `must be lower-case: write \`${header.toLowerCase()}\``
  if (header.startsWith(':')) return 'may not be a pseudo header'
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]{1,256}$/.test(header)) return 'must be a token of RFC 9110, 1 to 256 characters'
  if (header === 'host' || header === 'content-length' || HOP_BY_HOP.includes(header)) return `may not be \`${header}\``
  return header.startsWith('x-envoy-') ? 'may not begin with `x-envoy-`' : undefined
}

/** `[metadata]`. */
export function readMetadata(settings: Settings, report: Report): Config['metadata'] {
  const claims = settings.list('metadata.claims')
  for (const claim of claims) {
    const problem = claimProblem(claim)
    if (problem !== undefined) report.error('metadata.claims', `A name of it ${problem}.`)
    if (OWN_METADATA.includes(claim))
      report.error('metadata.claims', `\`${claim}\` is filled by this sidecar itself. Remove it.`)
  }
  return { claims: [...new Set(claims)] }
}
