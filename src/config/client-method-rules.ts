/** How a client authenticates beyond a shared secret: RFC 7523 assertions and RFC 8705 certificates. */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { ClientMethod } from './config.ts'
import { readPemFile } from './files.ts'
import type { Report } from './report.ts'
import { Secret } from './secret.ts'
import type { Settings } from './settings.ts'

export type StrongMethod = 'client_secret_jwt' | 'private_key_jwt' | 'tls_client_auth'

const SECRET_ALGORITHMS = ['HS256', 'HS384', 'HS512']
const RSA_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']
/** OpenSSL's names of the curves of RFC 7518 section 3.4. */
const CURVE_ALGORITHMS: ReadonlyMap<string, string> = new Map([
  ['prime256v1', 'ES256'],
  ['secp384r1', 'ES384'],
  ['secp521r1', 'ES512'],
])

/** The method's configuration for one client; `section` holds the assertion's keys. Problems go to the report. */
export function readStrongMethod(
  method: StrongMethod,
  client: { readonly id: string; readonly secret: Secret | undefined; readonly secretKey: string },
  section: string,
  settings: Settings,
  report: Report,
): ClientMethod {
  const clientId = client.id
  if (method === 'tls_client_auth') {
    noteUnused(['assertionKeyFile', 'assertionKeyId', 'assertionAlg', 'assertionAudience'], section, settings, report)
    if (settings.isMissing('keyManager.tls.certFile')) {
      report.error(
        'keyManager.tls.certFile',
        'Is missing or empty; tls_client_auth authenticates by the certificate of `certFile` and `keyFile` (RFC 8705).',
      )
    }
    checkEndpointsAreTls(section, settings, report)
    return { kind: 'tls_client_auth', clientId }
  }
  const shared = {
    clientId,
    keyId: settings.text(`${section}.assertionKeyId`),
    audience: settings.text(`${section}.assertionAudience`),
  }
  const written = settings.text(`${section}.assertionAlg`)
  if (method === 'client_secret_jwt') {
    noteUnused(['assertionKeyFile'], section, settings, report)
    if (client.secret === undefined && settings.isMissing(client.secretKey))
      report.error(client.secretKey, 'Is missing or empty; it signs the assertion of client_secret_jwt.')
    const alg = checkedAlgorithm(written ?? 'HS256', SECRET_ALGORITHMS, 'a client secret', section, report)
    return { kind: 'client_secret_jwt', ...shared, alg, key: client.secret ?? new Secret('') }
  }
  const { key, algorithms } = readKey(section, settings, report)
  const alg = checkedAlgorithm(written ?? algorithms[0] ?? '', algorithms, 'this key', section, report)
  return { kind: 'private_key_jwt', ...shared, alg, key }
}

/** What is discovered is looked at when it is read. */
function checkEndpointsAreTls(section: string, settings: Settings, report: Report): void {
  for (const key of section.endsWith('.oauth2') ? tokenUrls(section, settings) : introspectionUrls(settings)) {
    if (/^http:/i.test(settings.text(key) ?? ''))
      report.error(
        key,
        'Is plain http, where no certificate is shown: tls_client_auth would send the client id alone (RFC 8705). Use https, or authenticate in another way.',
      )
  }
}

/** Those that the grant uses. */
function tokenUrls(section: string, settings: Settings): readonly string[] {
  const grant = settings.isOn(`${section}.directToken.enabled`) ? [] : [`${section}.tokenUrl`]
  return settings.isOn(`${section}.refresh.enabled`) ? [...grant, `${section}.refresh.refreshUrl`] : grant
}

function introspectionUrls(settings: Settings): readonly string[] {
  if (settings.isWritten('keyManager.introspectUrl')) return ['keyManager.introspectUrl']
  return settings.isWritten('keyManager.discoveryUrl') ? [] : ['keyManager.serverUrl']
}

function noteUnused(names: readonly string[], section: string, settings: Settings, report: Report): void {
  for (const name of names) {
    if (settings.isWritten(`${section}.${name}`))
      report.notice(`${section}.${name}`, 'Not used by this way of authenticating.')
  }
}

function checkedAlgorithm(
  alg: string,
  algorithms: readonly string[],
  what: string,
  section: string,
  report: Report,
): string {
  if (algorithms.length > 0 && !algorithms.includes(alg))
    report.error(`${section}.assertionAlg`, `Does not fit ${what}. Use one of ${algorithms.join(', ')}.`)
  return alg
}

/** The key as PEM, and what it can sign with: the first is its default. */
function readKey(
  section: string,
  settings: Settings,
  report: Report,
): { readonly key: Secret; readonly algorithms: readonly string[] } {
  const path = `${section}.assertionKeyFile`
  const file = readPemFile(settings, path, report)?.path
  const nothing = { key: new Secret(''), algorithms: [] }
  if (file === undefined) {
    if (settings.isMissing(path))
      report.error(path, 'Is missing or empty; it names the PEM private key that signs the assertion.')
    return nothing
  }
  try {
    const pem = readFileSync(file, 'utf8')
    const algorithms = algorithmsOf(createPrivateKey(pem))
    if (algorithms.length === 0)
      report.error(path, 'Holds a key of a kind that is not supported. Use RSA (2048 bits or more), EC or Ed25519.')
    return { key: new Secret(pem), algorithms }
  } catch {
    // OpenSSL's own text may quote the key: only ours goes out. A file that cannot be read was reported above.
    report.error(path, 'Holds no usable private key in PEM (PKCS#8, without a passphrase).')
    return nothing
  }
}

function algorithmsOf(key: KeyObject): readonly string[] {
  const details = key.asymmetricKeyDetails
  switch (key.asymmetricKeyType) {
    case 'rsa':
      // RFC 7518 section 3.3: 2048 bits or larger.
      return (details?.modulusLength ?? 0) >= 2048 ? RSA_ALGORITHMS : []
    case 'ec': {
      const alg = CURVE_ALGORITHMS.get(details?.namedCurve ?? '')
      return alg === undefined ? [] : [alg]
    }
    case 'ed25519':
      return ['EdDSA', 'Ed25519']
    default:
      return []
  }
}
