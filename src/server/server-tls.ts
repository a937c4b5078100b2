/** TLS of the ext_authz port: the server's certificate, and client certificates where a CA is configured. */
import { experimental, type ServerCredentials } from '@grpc/grpc-js'
import { verifyServerTls } from './listeners.ts'

/** PEM. With `clientCa` a client certificate is required. */
export interface ServerTls {
  readonly cert: Buffer
  readonly key: Buffer
  readonly clientCa?: Buffer | undefined
}

export interface RenewableCredentials {
  readonly credentials: ServerCredentials
  /**
   * For connections to come; those that stand keep theirs. Whether client certificates are required does not change.
   * @throws Error as `createServerTls`; the old ones stay in force then.
   */
  renew(tls: ServerTls): void
}

type Provider = Parameters<typeof experimental.createCertificateProviderServerCredentials>[0]
type IdentityListener = Parameters<Provider['addIdentityCertificateListener']>[0]
type CaListener = Parameters<Provider['addCaCertificateListener']>[0]

/** @throws ConfigurationError where the PEM texts are none or do not fit; its text holds nothing of them. */
export function createServerTls(initial: ServerTls): RenewableCredentials {
  // grpc-js only logs a pair that does not fit, and drops every connection from then on.
  verifyServerTls(initial)
  let current = initial
  const identityListeners = new Set<IdentityListener>()
  const caListeners = new Set<CaListener>()

  function tellCa(listener: CaListener): void {
    if (current.clientCa !== undefined) listener({ caCertificate: current.clientCa })
  }
  function tellIdentity(listener: IdentityListener): void {
    listener({ certificate: current.cert, privateKey: current.key })
  }

  const provider: Provider = {
    addCaCertificateListener(listener) {
      caListeners.add(listener)
      // Not at once: grpc-js adds the watcher that puts the answer into force only after asking.
      queueMicrotask(() => tellCa(listener))
    },
    removeCaCertificateListener: (listener) => void caListeners.delete(listener),
    addIdentityCertificateListener(listener) {
      identityListeners.add(listener)
      queueMicrotask(() => tellIdentity(listener))
    },
    removeIdentityCertificateListener: (listener) => void identityListeners.delete(listener),
  }

  // grpc-js 1.14 names these two the wrong way round: the first is the identity, the second the CA.
  const hasClientCa = initial.clientCa !== undefined
  const create = experimental.createCertificateProviderServerCredentials
  return {
    credentials: create(provider, hasClientCa ? provider : null, hasClientCa),
    renew(tls) {
      verifyServerTls(tls)
      current = tls
      for (const listener of caListeners) tellCa(listener)
      for (const listener of identityListeners) tellIdentity(listener)
    },
  }
}
