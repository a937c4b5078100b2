/** A certificate authority, a server and a client certificate, made afresh by `openssl`. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Paths of PEM files and a way to remove them. */
export interface Certificates {
  readonly directory: string
  readonly caFile: string
  readonly serverCertFile: string
  readonly serverKeyFile: string
  readonly clientCertFile: string
  readonly clientKeyFile: string
  /** PEM texts for a TLS server. */
  readonly server: { readonly key: string; readonly cert: string; readonly ca: string }
  remove(): void
}

export interface CertificateOptions {
  /** Subject alternative names of the server's certificate, as OpenSSL writes them. */
  readonly serverNames?: string
  /** True: the server's certificate expired in 2020. */
  readonly expired?: boolean
}

/** Makes them in a directory of their own; `remove` deletes it. */
export function makeCertificates(options: CertificateOptions = {}): Certificates {
  const directory = mkdtempSync(join(tmpdir(), 'certificates-'))
  const file = (name: string): string => join(directory, name)
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' })
  }
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

  openssl('req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test authority')
  const issue = (name: string, extensions: string, expired: boolean): void => {
    writeFileSync(file(`${name}.cnf`), extensions)
    openssl('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
    const signing = ['-in', `${name}.csr`, '-out', `${name}.pem`, '-extfile', `${name}.cnf`]
    if (!expired) {
      openssl('x509', '-req', ...signing, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2')
      return
    }
    // Only `ca` takes dates in the past.
    writeFileSync(file('index.txt'), '')
    writeFileSync(file('serial'), '01\n')
    writeFileSync(
      file('ca.cnf'),
      '[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n',
    )
    const authority = ['-config', 'ca.cnf', '-cert', 'ca.pem', '-keyfile', 'ca.key', '-batch', '-notext']
    openssl('ca', ...authority, ...signing, '-startdate', '20200101000000Z', '-enddate', '20200201000000Z')
  }
  issue('server', `subjectAltName=${options.serverNames ?? 'DNS:localhost,IP:127.0.0.1'}\n`, options.expired === true)
  issue('client', 'extendedKeyUsage=clientAuth\n', false)

  return {
    directory,
    caFile: file('ca.pem'),
    serverCertFile: file('server.pem'),
    serverKeyFile: file('server.key'),
    clientCertFile: file('client.pem'),
    clientKeyFile: file('client.key'),
    server: {
      key: readFileSync(file('server.key'), 'utf8'),
      cert: readFileSync(file('server.pem'), 'utf8'),
      ca: readFileSync(file('ca.pem'), 'utf8'),
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}
