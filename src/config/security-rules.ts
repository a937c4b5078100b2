/** How the sidecar authenticates to the key manager: exactly one scheme, never none by mistake (F40). */
import { readStrongMethod } from './client-method-rules.ts'
import type { ClientMethod, ClientSecurity } from './config.ts'
import { readOwnToken } from './oauth2-rules.ts'
import type { Report } from './report.ts'
import { Secret } from './secret.ts'
import type { Settings } from './settings.ts'

const BASIC = 'keyManager.security.basic'
const OAUTH2 = 'keyManager.security.oauth2'
const NONE = 'keyManager.security.none'

/** The one scheme that is switched on. Where there is an error the value returned is never used. */
export function readSecurity(settings: Settings, report: Report): ClientSecurity {
  const isOff = settings.flag(`${BASIC}.enabled`) === false
  const username = isOff ? undefined : sameTwice(settings, 'username', report)
  const password = isOff ? undefined : sameSecretTwice(settings, report)
  const usernameWritten = !isMissing('username', settings)
  // WSO2 defaults to admin/admin and lets basic silently beat oauth2; here a written user name is what switches it on.
  const basic = settings.flag(`${BASIC}.enabled`) ?? usernameWritten
  const oauth2 = settings.isOn(`${OAUTH2}.enabled`)
  const none = settings.isOn(`${NONE}.enabled`)
  const ownToken = oauth2 ? readOwnToken(settings, report) : undefined
  const on = [basic ? BASIC : '', oauth2 ? OAUTH2 : '', none ? NONE : ''].filter((name) => name !== '')
  if (on.length > 1) {
    const because =
      basic && settings.isMissing(`${BASIC}.enabled`)
        ? ' (basic is on because a username is written; set its enabled = false)'
        : ''
    report.error(
      'keyManager.security',
      `More than one scheme is enabled: ${on.join(' and ')}${because}. Enable exactly one.`,
    )
  }
  if (on.length === 0) {
    report.error(
      'keyManager.security',
      `No credentials for the key manager: no scheme is enabled. Write username and password in [${BASIC}] or a grant in [${OAUTH2}], or, where the key manager asks for none, set ${NONE}.enabled = true.`,
    )
  }
  if (ownToken !== undefined) return { kind: 'own_token', ownToken }
  if (!basic) return { kind: 'none' }
  return readBasic(settings, report, username, password)
}

function readBasic(
  settings: Settings,
  report: Report,
  username: string | undefined,
  password: Secret | undefined,
): ClientMethod {
  const encoding = settings.text(`${BASIC}.encoding`) === 'form' ? 'form' : 'raw'
  const written = settings.text(`${BASIC}.method`)
  if (username === undefined && isMissing('username', settings)) {
    report.error(`${BASIC}.username`, 'The basic scheme is enabled, but `username` is missing or empty.')
  }
  if (written === 'client_secret_jwt' || written === 'private_key_jwt' || written === 'tls_client_auth') {
    const client = { id: username ?? '', secret: password, secretKey: `${BASIC}.password` }
    if (written !== 'client_secret_jwt' && password !== undefined)
      report.notice(`${BASIC}.password`, `Not used with method = "${written}".`)
    return readStrongMethod(written, client, BASIC, settings, report)
  }
  const method = written === 'post' ? 'post' : 'header'
  if (password === undefined && isMissing('password', settings)) {
    report.error(`${BASIC}.password`, 'The basic scheme is enabled, but `password` is missing or empty.')
  }
  const raw = encoding === 'raw' && method === 'header'
  if (raw && username?.includes(':')) {
    report.error(
      `${BASIC}.username`,
      'May not hold `:` when sent raw (RFC 7617). Use encoding = "form" or method = "post" where the key manager decodes.',
    )
  }
  if (raw && username !== undefined && hasControl(username))
    report.error(`${BASIC}.username`, 'Holds a control character (RFC 7617), perhaps a line end.')
  if (raw && password !== undefined && hasControl(password.reveal())) {
    report.error(
      `${BASIC}.password`,
      'Holds a control character (RFC 7617), perhaps a second line end at the end of its file.',
    )
  }
  if (username === 'admin' && password?.equals('admin')) {
    report.warning(
      `${BASIC}.password`,
      "admin/admin are the credentials WSO2 ships: everybody knows them. Use the sidecar's own.",
    )
  }
  return { kind: 'basic', username: username ?? '', password: password ?? new Secret(''), encoding, method }
}

/** In both spellings: what is written and wrong was reported, and is there. */
function isMissing(name: string, settings: Settings): boolean {
  return settings.isMissing(`${BASIC}.${name}`) && settings.isMissing(`keyManager.${name}`)
}

function hasControl(text: string): boolean {
  return /\p{Cc}/u.test(text)
}

function sameTwice(settings: Settings, name: 'username', report: Report): string | undefined {
  const [now, older] = [settings.text(`${BASIC}.${name}`), settings.text(`keyManager.${name}`)]
  if (now !== undefined && older !== undefined && now !== older) reportDifference(name, report)
  return now ?? older
}

function sameSecretTwice(settings: Settings, report: Report): Secret | undefined {
  const [now, older] = [settings.secret(`${BASIC}.password`), settings.secret('keyManager.password')]
  if (now !== undefined && older !== undefined && !now.equals(older.reveal())) reportDifference('password', report)
  return now ?? older
}

function reportDifference(name: string, report: Report): void {
  report.error(`keyManager.${name}`, `Differs from ${BASIC}.${name}, of which it is the older spelling. Remove it.`)
}
