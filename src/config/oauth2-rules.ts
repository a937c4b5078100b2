/** The own token's keys: known, checked for contradictions, not supported yet. */
import type { Report } from './report.ts'
import type { Settings } from './settings.ts'
import { urlProblem } from './url.ts'

const OAUTH2 = 'keyManager.security.oauth2'
const GRANTS = ['clientCredential', 'password', 'directToken'] as const

/** Called where `enabled = true`. Everything wrong with the section is reported beside "not supported yet". */
export function checkOauth2(settings: Settings, report: Report): void {
  report.error(
    `${OAUTH2}.enabled`,
    'Authenticating to the key manager by an own token is not supported yet. Use [keyManager.security.basic].',
  )
  const enabled = GRANTS.filter((grant) => settings.isOn(`${OAUTH2}.${grant}.enabled`))
  const refresh = settings.isOn(`${OAUTH2}.refresh.enabled`)
  if (enabled.length > 1) {
    report.error(
      OAUTH2,
      `More than one grant is enabled: ${enabled.join(' and ')} (WSO2 silently prefers one). Enable exactly one.`,
    )
  }
  if (enabled.length === 0) report.error(OAUTH2, `No grant is enabled. Enable one of ${GRANTS.join(', ')}.`)
  if (refresh && !enabled.includes('password') && !enabled.includes('directToken')) {
    report.error(
      `${OAUTH2}.refresh.enabled`,
      'Refresh works with password or directToken only. With clientCredential the token is simply asked for again: set refresh.enabled = false.',
    )
  }
  checkUrls(settings, report)
  if (enabled.includes('clientCredential')) needTokenEndpoint('clientCredential', settings, report)
  if (enabled.includes('password')) checkPassword(settings, report)
  if (enabled.includes('directToken')) checkDirectToken(refresh, settings, report)
}

function checkUrls(settings: Settings, report: Report): void {
  const rules = { allowInsecure: settings.isOn('keyManager.allowInsecure'), allowQuery: true }
  for (const key of [`${OAUTH2}.tokenUrl`, `${OAUTH2}.refresh.refreshUrl`]) {
    const url = settings.text(key)
    const problem = url === undefined ? undefined : urlProblem(url, rules)
    if (problem !== undefined) report.error(key, `The URL ${problem}.`)
  }
}

function need(key: string, why: string, settings: Settings, report: Report): void {
  if (settings.isMissing(key)) report.error(key, `Is missing or empty; it is needed ${why}.`)
}

function needClient(section: string, settings: Settings, report: Report): void {
  const bearer = settings.text(`${OAUTH2}.credentialBearer`)
  if (bearer !== 'NO_BEARER')
    need(`${OAUTH2}.${section}.clientId`, `with credentialBearer = "${bearer ?? ''}"`, settings, report)
}

function needTokenEndpoint(grant: 'clientCredential' | 'password', settings: Settings, report: Report): void {
  need(`${OAUTH2}.tokenUrl`, `for the grant ${grant}`, settings, report)
  needClient(grant, settings, report)
}

function checkPassword(settings: Settings, report: Report): void {
  report.warning(`${OAUTH2}.password.enabled`, 'RFC 9700 section 2.4 forbids the password grant for new systems.')
  needTokenEndpoint('password', settings, report)
  need(`${OAUTH2}.password.username`, 'for the grant password', settings, report)
  need(`${OAUTH2}.password.password`, 'for the grant password', settings, report)
  if (settings.isOn(`${OAUTH2}.refresh.enabled`) && settings.isWritten(`${OAUTH2}.refresh.refreshToken`)) {
    report.notice(
      `${OAUTH2}.refresh.refreshToken`,
      "Not used: with the password grant the refresh token comes from that grant's answer.",
    )
  }
}

function checkDirectToken(refresh: boolean, settings: Settings, report: Report): void {
  if (!refresh) {
    need(`${OAUTH2}.directToken.accessToken`, 'for directToken without refresh', settings, report)
    return
  }
  need(`${OAUTH2}.refresh.refreshUrl`, 'to refresh a direct token', settings, report)
  need(`${OAUTH2}.refresh.refreshToken`, 'to refresh a direct token', settings, report)
  needClient('refresh', settings, report)
}
