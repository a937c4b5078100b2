/** Files that keys name: present, readable and noted for reload. */
import { readFileSync } from 'node:fs'
import { readingProblem } from './references.ts'
import type { Report } from './report.ts'
import { nameOf } from './schema.ts'
import type { Settings } from './settings.ts'

/** The path written under `key`; whether it can be read as PEM is checked here, what is in it where it is used. */
export function readableFile(settings: Settings, key: string, report: Report): string | undefined {
  const path = settings.text(key)
  if (path === undefined) return undefined
  settings.usesFile(path)
  if (/\.(p12|pfx|jks)$/i.test(path)) {
    report.error(key, `\`${nameOf(key)}\` must be a PEM file. ${conversionAdvice(path)}`)
    return path
  }
  try {
    if (!readFileSync(path, 'latin1').includes('-----BEGIN '))
      report.error(key, `The file of \`${nameOf(key)}\` is not PEM: it holds no "-----BEGIN".`)
  } catch (error) {
    report.error(key, `The file of \`${nameOf(key)}\` ${readingProblem(error)}.`)
  }
  return path
}

/** How a trust store becomes PEM: Node cannot read a PKCS#12 file that holds only certificates. */
export function conversionAdvice(store: string): string {
  const pkcs12 = `keytool -importkeystore -srckeystore ${store} -destkeystore trust.p12 -deststoretype PKCS12`
  return /\.jks$/i.test(store)
    ? `Convert it with \`${pkcs12}\`, then \`openssl pkcs12 -in trust.p12 -nokeys -out ca.pem\`.`
    : `Convert it with \`keytool -list -rfc -keystore ${store} -storetype PKCS12 > ca.pem\` or \`openssl pkcs12 -in ${store} -nokeys -out ca.pem\`.`
}
