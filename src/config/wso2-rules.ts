/** Keys of WSO2 that must not be ignored silently, because they protect or people rely on them. */
import { conversionAdvice } from './files.ts'
import type { Report } from './report.ts'
import type { Settings } from './settings.ts'
import { isTable } from './tables.ts'

const REFUSED: readonly (readonly [key: string, what: string])[] = [
  [
    'security.validateSubscriptions',
    'Validating subscriptions is not supported: ignoring it would let requests through. Set it to false, and use [policy] clients or scopes.',
  ],
  [
    'apim.eventHub.enable',
    'The event hub of API Manager is not supported: ignoring it would let requests through. Set it to false.',
  ],
  [
    'jwtTokenConfig.validateSubscription',
    'Validating subscriptions is not supported: ignoring it would let requests through. Set it to false, and use [policy] clients or scopes.',
  ],
  ['jwtConfig.enabled', 'The JWT for the backend is not supported yet. Set it to false.'],
  ['jwtGeneratorConfig.enabled', 'The JWT for the backend is not supported yet. Set it to false.'],
  ['jwtGeneratorConfig.jwtGeneratorEnabled', 'The JWT for the backend is not supported yet. Set it to false.'],
  [
    'tokenRevocationConfig.realtime.enable',
    'Real-time revocation is not supported yet. Set it to false; a revoked token passes at most for caching.tokenCacheExpiryTime.',
  ],
  [
    'tokenRevocationConfig.realtime.enableRealtimeMessageRetrieval',
    'Real-time revocation is not supported yet. Set it to false; a revoked token passes at most for caching.tokenCacheExpiryTime.',
  ],
]

/** Errors for what is asked for and does not exist, notices for what means something else here. `written`: top-level tables of the file, lower case. */
export function checkWso2(settings: Settings, written: ReadonlySet<string>, report: Report): void {
  for (const [key, message] of REFUSED) if (settings.isOn(key)) report.error(key, message)
  checkJwtIssuers(settings, written, report)
  if (written.has('listenerconfig')) {
    report.notice(
      'listenerConfig',
      `Its trust store is PKCS#12, which is not read here. To trust a private authority set keyManager.tls.caFile. ${conversionAdvice('ballerinaTruststore.p12')}`,
    )
  }
  if (written.has('httpclients')) {
    report.notice(
      'httpClients',
      'verifyHostname and disableSslVerification are for the upstream and not applied to the key manager, whose certificate is always verified: see [keyManager.tls].',
    )
  }
}

function checkJwtIssuers(settings: Settings, written: ReadonlySet<string>, report: Report): void {
  const key = 'jwtTokenConfig'
  if (!written.has(key.toLowerCase())) return
  report.notice(key, 'JWTs are not verified locally yet: every token, JWT or opaque, is introspected.')
  const issuers = settings.value(key)
  for (const [index, issuer] of (Array.isArray(issuers) ? issuers : []).entries()) {
    if (!isTable(issuer)) continue
    for (const name of Object.keys(issuer)) checkSubscription(name, issuer[name], `${key}[${index}].${name}`, report)
  }
}

/** Also in its likely misspellings: this one must not slip through. */
function checkSubscription(name: string, value: unknown, at: string, report: Report): void {
  if (!/^validate_?subscriptions?$/i.test(name) || value === false) return
  if (name !== 'validateSubscription') report.error(at, 'Unknown key. Write `validateSubscription`.')
  else if (value === true) report.error(at, REFUSED[2]?.[1] ?? '')
  else report.error(at, '`validateSubscription` must be true or false, without quotes.')
}
