/** TLS of the ext_authz port: the server's certificate, and client certificates where a CA is configured. */
import { experimental, type ServerCredentials } from '@grpc/grpc-js'

/** PEM. With `clientCa` a client certificate is required. */
export interface ServerTls {
  readonly cert: Buffer
  readonly key: Buffer
  readonly clientCa?: Buffer | undefined
}

export interface RenewableCredentials {
  readonly credentials: ServerCredentials
  /** For connections to come; those that stand keep theirs. Whether client certificates are required does not change. */
  renew(tls: ServerTls): void
}

type Provider = Parameters<typeof experimental.createCertificateProviderServerCredentials>[0]
type IdentityListener = Parameters<Provider['addIdentityCertificateListener']>[0]
type CaListener = Parameters<Provider['addCaCertificateListener']>[0]

/** @throws Error where certificate and key do not fit, with OpenSSL's reason only. */
export function createServerTls(initial: ServerTls): RenewableCredentials {
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
      tellCa(listener)
    },
    removeCaCertificateListener: (listener) => void caListeners.delete(listener),
    addIdentityCertificateListener(listener) {
      identityListeners.add(listener)
      tellIdentity(listener)
    },
    removeIdentityCertificateListener: (listener) => void identityListeners.delete(listener),
  }

  // grpc-js 1.14 names these two the wrong way round: the first is the identity, the second the CA.
  const hasClientCa = initial.clientCa !== undefined
  const create = experimental.createCertificateProviderServerCredentials
  return {
    credentials: create(provider, hasClientCa ? provider : null, hasClientCa),
    renew(tls) {
      current = tls
      for (const listener of caListeners) tellCa(listener)
      for (const listener of identityListeners) tellIdentity(listener)
    },
  }
}
