/** `[keymanager.security.oauth2]`: the own token's grant and endpoints; combinations that cannot be meant are errors. */
import { accessSync, constants, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { readStrongMethod, type StrongMethod } from './client-method-rules.ts'
import type { ClientMethod, OwnTokenConfig, RefreshConfig, TokenEndpointConfig } from './config.ts'
import { nameProblem, scopeProblem } from './policy-words.ts'
import type { Report } from './report.ts'
import { Secret } from './secret.ts'
import type { Settings } from './settings.ts'
import { urlProblem } from './url.ts'

const OAUTH2 = 'keyManager.security.oauth2'
const GRANTS = ['clientCredential', 'password', 'directToken'] as const

type Section = 'clientCredential' | 'password' | 'refresh'

/** Called where `enabled = true`. Where there is an error the value returned is never used. */
export function readOwnToken(settings: Settings, report: Report): OwnTokenConfig {
  const enabled = GRANTS.filter((grant) => settings.isOn(`${OAUTH2}.${grant}.enabled`))
  const refresh = settings.isOn(`${OAUTH2}.refresh.enabled`)
  if (enabled.length > 1) {
    report.error(
      OAUTH2,
      `More than one grant is enabled: ${enabled.map((grant) => `${grant}.enabled`).join(' and ')} (WSO2 silently prefers one). Enable exactly one.`,
    )
  }
  if (enabled.length === 0) report.error(OAUTH2, `No grant is enabled. Enable one of ${GRANTS.join(', ')}.`)
  if (refresh && !enabled.includes('password') && !enabled.includes('directToken')) {
    const beside = enabled.includes('clientCredential') ? 'clientCredential.enabled' : 'no grant'
    report.error(
      `${OAUTH2}.refresh.enabled`,
      `Refresh works with password.enabled or directToken.enabled, not with ${beside}. With clientCredential the token is simply asked for again: set refresh.enabled = false.`,
    )
  }
  if (settings.isWritten(`${OAUTH2}.clientAuthMethod`) && settings.isWritten(`${OAUTH2}.credentialBearer`)) {
    report.error(
      `${OAUTH2}.clientAuthMethod`,
      'Stands in place of credentialBearer, which is written too. Remove one of the two.',
    )
  }
  switch (enabled[0]) {
    case 'password':
      return readPassword(refresh, settings, report)
    case 'directToken':
      return readDirectToken(refresh, settings, report)
    case undefined:
      return { grant: 'direct', accessToken: undefined, refresh: undefined }
    default:
      return { grant: 'client_credentials', endpoint: readEndpoint('clientCredential', settings, report) }
  }
}

function readPassword(refresh: boolean, settings: Settings, report: Report): OwnTokenConfig {
  report.warning(`${OAUTH2}.password.enabled`, 'RFC 9700 section 2.4 forbids the password grant for new systems.')
  const endpoint = readEndpoint('password', settings, report)
  const username = needed(settings.text(`${OAUTH2}.password.username`), 'password.username', settings, report)
  const password = needed(settings.secret(`${OAUTH2}.password.password`), 'password.password', settings, report)
  return {
    grant: 'password',
    endpoint,
    username: username ?? '',
    password: password ?? new Secret(''),
    refresh: refresh ? readPasswordRefresh(endpoint, settings, report) : undefined,
  }
}

function needed<T>(value: T | undefined, name: string, settings: Settings, report: Report): T | undefined {
  if (value === undefined && settings.isMissing(`${OAUTH2}.${name}`))
    report.error(`${OAUTH2}.${name}`, `Is missing or empty; it is needed for the grant ${name.split('.')[0]}.`)
  return value
}

/** URL and scopes from `refresh`; the client from there where it is written, else the password grant's. */
function readPasswordRefresh(grant: TokenEndpointConfig, settings: Settings, report: Report): RefreshConfig {
  if (settings.isWritten(`${OAUTH2}.refresh.refreshToken`)) {
    report.notice(
      `${OAUTH2}.refresh.refreshToken`,
      "Not used: with the password grant the refresh token comes from that grant's answer.",
    )
  }
  const own = settings.isWritten(`${OAUTH2}.refresh.clientId`) || settings.isWritten(`${OAUTH2}.refresh.clientSecret`)
  checkText(`${OAUTH2}.refresh.clientId`, settings, report)
  const id = settings.text(`${OAUTH2}.refresh.clientId`) ?? settings.text(`${OAUTH2}.password.clientId`) ?? ''
  const secrets = settings.secrets(`${OAUTH2}.refresh.clientSecret`)
  const effective = secrets.length > 0 ? secrets : settings.secrets(`${OAUTH2}.password.clientSecret`)
  return {
    url: readUrl('refresh.refreshUrl', settings, report) ?? grant.url,
    clients: own ? readClients('refresh', id, effective, settings, report) : grant.clients,
    scope: scopeOf('refresh', settings, report),
    ...readTargets('refresh', settings, report),
    refreshToken: undefined,
    stateFile: readStateFile(settings, report),
  }
}

function readDirectToken(refresh: boolean, settings: Settings, report: Report): OwnTokenConfig {
  const accessToken = settings.secret(`${OAUTH2}.directToken.accessToken`)
  checkBearer(accessToken, `${OAUTH2}.directToken.accessToken`, report)
  if (!refresh) {
    needed(accessToken, 'directToken.accessToken', settings, report)
    return { grant: 'direct', accessToken, refresh: undefined }
  }
  const url = readUrl('refresh.refreshUrl', settings, report)
  if (url === undefined && !isDiscovered(settings)) needed(url, 'refresh.refreshUrl', settings, report)
  const refreshToken = needed(
    settings.secret(`${OAUTH2}.refresh.refreshToken`),
    'refresh.refreshToken',
    settings,
    report,
  )
  const id = readClientId('refresh', settings, report)
  return {
    grant: 'direct',
    accessToken,
    refresh: {
      url,
      clients: readClients('refresh', id, settings.secrets(`${OAUTH2}.refresh.clientSecret`), settings, report),
      scope: scopeOf('refresh', settings, report),
      ...readTargets('refresh', settings, report),
      refreshToken: refreshToken ?? new Secret(''),
      stateFile: readStateFile(settings, report),
    },
  }
}

/** RFC 6750 section 2.1: anything else could not be sent in a header, or would end it early. */
function checkBearer(token: Secret | undefined, key: string, report: Report): void {
  if (token !== undefined && !/^[A-Za-z0-9\-._~+/]+=*$/.test(token.reveal()))
    report.error(key, 'Holds characters that an access token may not have (RFC 6750 section 2.1), perhaps a line end.')
}

function readEndpoint(
  section: 'clientCredential' | 'password',
  settings: Settings,
  report: Report,
): TokenEndpointConfig {
  const url = readUrl('tokenUrl', settings, report)
  if (url === undefined && settings.isMissing(`${OAUTH2}.tokenUrl`) && !isDiscovered(settings))
    report.error(`${OAUTH2}.tokenUrl`, `Is missing or empty; it is needed for the grant ${section}.`)
  const id = readClientId(section, settings, report)
  return {
    url,
    clients: readClients(section, id, settings.secrets(`${OAUTH2}.${section}.clientSecret`), settings, report),
    scope: scopeOf(section, settings, report),
    ...readTargets(section, settings, report),
  }
}

function isDiscovered(settings: Settings): boolean {
  return settings.isWritten('keyManager.discoveryUrl')
}

function readUrl(name: string, settings: Settings, report: Report): string | undefined {
  const url = settings.text(`${OAUTH2}.${name}`)
  const rules = { allowInsecure: settings.isOn('keyManager.allowInsecure'), allowQuery: true }
  const problem = url === undefined ? undefined : urlProblem(url, rules)
  if (problem !== undefined) report.error(`${OAUTH2}.${name}`, `The URL ${problem}.`)
  return url
}

/** Required wherever the client authenticates at all. */
function readClientId(section: Section, settings: Settings, report: Report): string {
  const key = `${OAUTH2}.${section}.clientId`
  const id = settings.text(key)
  const strong = settings.text(`${OAUTH2}.clientAuthMethod`)
  const bearer = settings.text(`${OAUTH2}.credentialBearer`) ?? ''
  if (id === undefined && settings.isMissing(key) && (strong !== undefined || bearer !== 'NO_BEARER')) {
    const because = strong === undefined ? `credentialBearer = "${bearer}"` : `clientAuthMethod = "${strong}"`
    report.error(key, `Is missing or empty; it is needed with ${because}.`)
  }
  checkText(key, settings, report)
  return id ?? ''
}

/** Sent as it is: a line end from a file would make another client of it. */
function checkText(key: string, settings: Settings, report: Report): void {
  const problem = nameProblem(settings.text(key) ?? '')
  if (problem !== undefined) report.error(key, `It ${problem}.`)
}

/** One method, or two where two secrets are given. */
function readClients(
  section: Section,
  id: string,
  secrets: readonly Secret[],
  settings: Settings,
  report: Report,
): readonly ClientMethod[] {
  const readStrongClients = (method: StrongMethod): readonly ClientMethod[] => {
    const secretKey = `${OAUTH2}.${section}.clientSecret`
    const given = method === 'client_secret_jwt' && secrets.length > 0 ? secrets : [undefined]
    return given.map((secret) => readStrongMethod(method, { id, secret, secretKey }, OAUTH2, settings, report))
  }
  const strong = settings.text(`${OAUTH2}.clientAuthMethod`)
  if (strong === 'client_secret_jwt' || strong === 'private_key_jwt' || strong === 'tls_client_auth')
    return readStrongClients(strong)
  const bearer = settings.text(`${OAUTH2}.credentialBearer`)
  if (bearer === 'NO_BEARER') return [{ kind: 'none' }]
  const method = bearer === 'POST_BODY_BEARER' ? 'post' : 'header'
  // RFC 6749 section 2.3.1: a client may have an empty secret.
  const given = secrets.length === 0 ? [new Secret('')] : secrets
  return given.map((password) => ({ kind: 'basic', username: id, password, encoding: 'form', method }))
}

function scopeOf(section: Section, settings: Settings, report: Report): string {
  const key = `${OAUTH2}.${section}.scopes`
  const scopes = listOf(key, settings)
  const problem = scopes.map(scopeProblem).find((one) => one !== undefined)
  if (problem !== undefined) report.error(key, `A word of it ${problem}.`)
  return scopes.join(' ')
}

function listOf(key: string, settings: Settings): readonly string[] {
  return settings.isWritten(key) ? settings.list(key) : []
}

/** RFC 8707 section 2: a resource is an absolute URI without a fragment. */
function readTargets(
  section: Section,
  settings: Settings,
  report: Report,
): Pick<TokenEndpointConfig, 'resource' | 'audience'> {
  const key = `${OAUTH2}.${section}.resource`
  const resource = listOf(key, settings)
  if (!resource.every((uri) => URL.canParse(uri) && !uri.includes('#')))
    report.error(key, 'Must be absolute URIs without a fragment (RFC 8707 section 2).')
  checkText(`${OAUTH2}.${section}.audience`, settings, report)
  return { resource, audience: settings.text(`${OAUTH2}.${section}.audience`) }
}

/** A file that cannot be written would lose the refresh token at the next restart: said now, not then. */
function readStateFile(settings: Settings, report: Report): string | undefined {
  const key = `${OAUTH2}.refresh.stateFile`
  const file = settings.text(key)
  if (file === undefined) return undefined
  try {
    accessSync(`${dirname(file)}/.`, constants.W_OK)
    if (statSync(file, { throwIfNoEntry: false })?.isFile() === false)
      report.error(key, '`stateFile` names what is no regular file. Name a file, which need not exist.')
  } catch {
    report.error(key, 'The folder of `stateFile` does not exist or may not be written by this user.')
  }
  return file
}
