/** How a command reaches a sidecar over gRPC: plaintext, TLS, or mutual TLS. */
import { readFileSync } from 'node:fs'
import { ChannelCredentials } from '@grpc/grpc-js'

/** Flags that both `check` and `healthcheck` take. */
export const TLS_OPTIONS = {
  'ca-file': { type: 'string' },
  'cert-file': { type: 'string' },
  'key-file': { type: 'string' },
} as const

export const TLS_HELP = `  --ca-file FILE      TLS: PEM of the authorities that sign the sidecar's certificate
  --cert-file FILE    mutual TLS: PEM client certificate, with --ca-file and --key-file
  --key-file FILE     PEM key of --cert-file
`

export interface TlsValues {
  readonly 'ca-file'?: string | undefined
  readonly 'cert-file'?: string | undefined
  readonly 'key-file'?: string | undefined
}

/** Plaintext without flags. A text says what is wrong, as a sentence for the usage message. */
export function readChannel(values: TlsValues): ChannelCredentials | string {
  const { 'ca-file': ca, 'cert-file': cert, 'key-file': key } = values
  if (ca === undefined && cert === undefined && key === undefined) return ChannelCredentials.createInsecure()
  if (ca === undefined) return '--cert-file and --key-file need --ca-file'
  if ((cert === undefined) !== (key === undefined)) return '--cert-file and --key-file go together'
  const files = [ca, key, cert].map((file) => (file === undefined ? null : readPem(file)))
  const unreadable = files.indexOf(undefined)
  if (unreadable >= 0) return `${['--ca-file', '--key-file', '--cert-file'][unreadable]} cannot be read`
  const [authorities = null, privateKey = null, chain = null] = files
  try {
    return ChannelCredentials.createSsl(authorities, privateKey, chain)
  } catch {
    return 'the files of --ca-file, --cert-file and --key-file are not PEM, or do not fit each other'
  }
}

function readPem(file: string): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}
