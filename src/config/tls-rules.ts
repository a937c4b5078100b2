/**
 * The certificates and keys of `[extAuthz.tls]` and `[keyManager.tls]`. Material that TLS cannot use is refused with the
 * configuration: in force, every handshake would fail.
 */
import { readPemFile } from './files.ts'
import { certificatesProblem, keyProblem, pairProblem } from './pem.ts'
import { printable } from './references.ts'
import type { Report } from './report.ts'
import type { Settings } from './settings.ts'

/** The path of a bundle of authorities, each of which can be read. */
export function readAuthorities(settings: Settings, key: string, report: Report): string | undefined {
  return readUsable(settings, key, certificatesProblem, AUTHORITIES_ADVICE, report).path
}

const AUTHORITIES_ADVICE =
  'Put whole PEM certificates there: what cannot be read, and all behind it, would not be trusted'
const CERTIFICATE_ADVICE = 'Put the certificate there as PEM, first in the file, and those that sign it behind'
const KEY_ADVICE = 'Put the PEM private key of `certFile` there'

/** The paths of `certFile` and `keyFile` below `base`, which belong together; whether both are written is the caller's to check. */
export function readPair(
  settings: Settings,
  base: string,
  report: Report,
): { readonly certFile: string | undefined; readonly keyFile: string | undefined } {
  const certificate = readUsable(settings, `${base}.certFile`, certificatesProblem, CERTIFICATE_ADVICE, report)
  const key = readUsable(settings, `${base}.keyFile`, keyProblem, KEY_ADVICE, report)
  if (certificate.text !== undefined && key.text !== undefined) {
    const problem = pairProblem(certificate.text, key.text)
    if (problem !== undefined) {
      report.error(
        base,
        `\`certFile\` (${printable(certificate.path)}) and \`keyFile\` (${printable(key.path)}) are not usable together: ${problem}. Name two files that belong to each other, and replace both at once.`,
      )
    }
  }
  return { certFile: certificate.path, keyFile: key.path }
}

type Usable =
  | { readonly path: string; readonly text: string }
  | { readonly path: string | undefined; readonly text: undefined }

/** Without its text where a problem was reported. */
function readUsable(
  settings: Settings,
  key: string,
  problemOf: (pem: string) => string | undefined,
  advice: string,
  report: Report,
): Usable {
  const { path, text } = readPemFile(settings, key, report) ?? {}
  if (path === undefined || text === undefined) return { path, text: undefined }
  const problem = problemOf(text)
  if (problem === undefined) return { path, text }
  report.error(key, `The file ${printable(path)} ${problem}. ${advice}.`)
  return { path, text: undefined }
}
