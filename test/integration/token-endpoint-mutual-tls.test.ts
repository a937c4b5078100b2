/** RFC 8705 section 2 at a real token endpoint: the certificate is the credential. */
import { expect } from 'chai'
import { after, before, describe, it } from 'mocha'
import { Secret } from '../../src/config/secret.ts'
import { createGrants } from '../../src/keymanager/grants.ts'
import { readTlsOptions } from '../../src/net/tls.ts'
import { type Certificates, makeCertificates } from '../support/certificates.ts'
import { createFakeClock } from '../support/clock.ts'
import { type OidcServer, oidcClient, startOidcServer } from '../support/own-token-oidc.ts'
import { plainTls } from '../unit/keymanager/support.ts'

describe('the token endpoint by mutual TLS, at oidc-provider', () => {
  let own: Certificates
  let foreign: Certificates
  let server: OidcServer
  before(async () => {
    own = makeCertificates()
    foreign = makeCertificates()
    server = await startOidcServer({
      tls: { ...own.server, requestCert: true, rejectUnauthorized: false },
      clients: [
        oidcClient('gateway', {
          token_endpoint_auth_method: 'tls_client_auth',
          tls_client_auth_subject_dn: 'CN=client',
        }),
      ],
    })
  })
  after(async () => {
    await server.close()
    own.remove()
    foreign.remove()
  })

  const endpoint = () => ({
    url: server.tokenUrl,
    clients: [{ kind: 'tls_client_auth', clientId: 'gateway' } as const],
    scope: 'introspection',
    resource: [],
    audience: undefined,
  })
  const transport = (client: Certificates) => ({
    clock: createFakeClock({ wallMs: Date.now() }),
    tls: readTlsOptions({
      ...plainTls,
      caFile: own.caFile,
      certFile: client.clientCertFile,
      keyFile: client.clientKeyFile,
    }),
    proxy: undefined,
    discovered: async () => undefined,
  })

  it('grants by client credentials', async () => {
    const grants = createGrants({ grant: 'client_credentials', endpoint: endpoint() }, transport(own))
    expect(await grants.first?.ask()).to.include({ kind: 'granted', scope: 'introspection' })
    expect(server.tokenRequests.at(-1)).to.include({ method: 'tls_client_auth', outcome: 'granted' })
  })

  it('grants by refresh, and rotates', async () => {
    const { accessToken, refreshToken } = await server.pairFor('gateway')
    const refresh = { ...endpoint(), refreshToken: new Secret(refreshToken), stateFile: undefined }
    const grants = createGrants({ grant: 'direct', accessToken: new Secret(accessToken), refresh }, transport(own))
    const renewed = await grants.refresh?.(refreshToken)
    expect(renewed?.kind === 'granted' && renewed.refreshToken)
      .to.be.a('string')
      .and.not.equal(refreshToken)
  })

  it('refuses the certificate of another authority', async () => {
    const grants = createGrants({ grant: 'client_credentials', endpoint: endpoint() }, transport(foreign))
    expect(await grants.first?.ask()).to.include({ kind: 'refused', outcome: 'rejected', error: 'invalid_client' })
  })
})
