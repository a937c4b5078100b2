/** Files that keys name: present, readable and noted for reload. */
import { readFileSync } from 'node:fs'
import { readingProblem } from './references.ts'
import type { Report } from './report.ts'
import { nameOf } from './schema.ts'
import type { Settings } from './settings.ts'

/** A file that a key names. */
export interface PemFile {
  readonly path: string
  /** One character a byte, without a byte-order mark; undefined where a problem was reported. */
  readonly text: string | undefined
}

/** The file written under `key`; whether it can be read as PEM is checked here, what is in it where it is used. */
export function readPemFile(settings: Settings, key: string, report: Report): PemFile | undefined {
  const path = settings.text(key)
  if (path === undefined) return undefined
  settings.usesFile(path)
  if (/\.(p12|pfx|jks)$/i.test(path)) {
    report.error(key, `\`${nameOf(key)}\` must be a PEM file. ${conversionAdvice(path)}`)
    return { path, text: undefined }
  }
  try {
    const text = readFileSync(path, 'latin1').replace(/^\xef\xbb\xbf/, '')
    if (text.includes('-----BEGIN ')) return { path, text }
    report.error(key, `The file of \`${nameOf(key)}\` is not PEM: it holds no "-----BEGIN".`)
  } catch (error) {
    report.error(key, `The file of \`${nameOf(key)}\` ${readingProblem(error)}.`)
  }
  return { path, text: undefined }
}

/** How a trust store becomes PEM: Node cannot read a PKCS#12 file that holds only certificates. */
export function conversionAdvice(store: string): string {
  const pkcs12 = `keytool -importkeystore -srckeystore ${store} -destkeystore trust.p12 -deststoretype PKCS12`
  return /\.jks$/i.test(store)
    ? `Convert it with \`${pkcs12}\`, then \`openssl pkcs12 -in trust.p12 -nokeys -out ca.pem\`.`
    : `Convert it with \`keytool -list -rfc -keystore ${store} -storetype PKCS12 > ca.pem\` or \`openssl pkcs12 -in ${store} -nokeys -out ca.pem\`.`
}
