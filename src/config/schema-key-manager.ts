/** Keys of the key manager: where it is, how it is called, how the sidecar authenticates there. */
import { type Row, row } from './schema-row.ts'

const BASIC = 'keyManager.security.basic'
const OAUTH2 = 'keyManager.security.oauth2'

const wso2 = { origin: 'wso2' } as const

/** `[keyManager]` and everything below it. */
export function keyManagerRows(): readonly Row[] {
  return [
    row(
      'keyManager.serverUrl',
      'text',
      'Base URL of the key manager: http or https, without userinfo, query or fragment.',
      {
        ...wso2,
        default: 'https://localhost:9443',
      },
    ),
    row(
      'keyManager.tokenContext',
      'text',
      'The introspection URL is serverUrl, `/`, tokenContext, `/introspect`. May be empty.',
      {
        ...wso2,
        default: 'oauth2',
        emptyIsValue: true,
      },
    ),
    row(
      'keyManager.introspectUrl',
      'text',
      'The whole introspection URL, instead of serverUrl and tokenContext. Writing it switches introspection on.',
    ),
    row(
      'keyManager.discoveryUrl',
      'text',
      'RFC 8414 (or OpenID Connect) metadata that names the introspection and token endpoints, such as `https://as.example.com/.well-known/oauth-authorization-server`. The issuer in it is checked; it is read again every hour. URLs that are written win. Writing it switches introspection on.',
    ),
    row(
      'keyManager.external',
      'boolean',
      'true: introspection (RFC 7662). false selects the key-validation service of WSO2, which is not supported yet.',
      {
        ...wso2,
        default: false,
      },
    ),
    row('keyManager.enableLegacyMode', 'boolean', 'The opposite of `external`, as 3.2 names it.', wso2),
    row('keyManager.enableLegacyKM', 'boolean', 'Another spelling of `enableLegacyMode`.', wso2),
    row(
      'keyManager.timestampSkew',
      'duration',
      'Clock difference forgiven for `exp` and `nbf` of a fresh answer, at most 300 s. A bare number is seconds, as its documentation says; the code of WSO2 reads milliseconds.',
      {
        ...wso2,
        default: '5s',
        unit: 's',
      },
    ),
    row('keyManager.timeout', 'duration', 'For one Check, queueing included.', { default: '2s' }),
    row('keyManager.connectTimeout', 'duration', 'For one connection to the key manager.', { default: '500ms' }),
    row('keyManager.maxInFlight', 'integer', 'Introspections at once; more wait.', { default: 64, range: [1, 10_000] }),
    row('keyManager.maxWaiting', 'integer', 'Introspections waiting; more are refused as `overloaded`.', {
      default: 1000,
      range: [0, 1_000_000],
    }),
    row('keyManager.maxAnswerSize', 'integer', 'Bytes of an introspection answer; longer ones are refused.', {
      default: 65_536,
      range: [64, 16_777_216],
    }),
    row('keyManager.tokenTypeHint', 'text', '`token_type_hint` of RFC 7662 section 2.1; absent: none is sent.'),
    row('keyManager.allowInsecure', 'boolean', 'Allows plain http to a host other than loopback.', { default: false }),
    row(
      'keyManager.startupProbe',
      'boolean',
      'One introspection of a random token at start, to check credentials and round-trip time.',
      {
        default: true,
      },
    ),
    row(
      'keyManager.proxy',
      'text',
      'Forward proxy to the key manager, `http://host:port`; one elsewhere is not used to loopback.',
    ),
    row('keyManager.lenientExp', 'boolean', 'Accepts `exp` and `nbf` as numeric strings.', { default: false }),
    row(
      'keyManager.tls.caFile',
      'text',
      'PEM file of the authorities that sign the certificate of the key manager; absent: the list of Mozilla that Node brings along, and NODE_EXTRA_CA_CERTS; not those of the system.',
    ),
    row('keyManager.tls.certFile', 'text', 'PEM client certificate (mutual TLS), with keyFile.'),
    row('keyManager.tls.keyFile', 'text', 'PEM key of certFile.'),
    row('keyManager.tls.minVersion', 'text', 'Lowest TLS version.', {
      default: 'TLSv1.2',
      choices: ['TLSv1.2', 'TLSv1.3'],
    }),
    row('keyManager.tls.serverName', 'text', 'Name to ask for and to verify, instead of the host of the URL.'),
    row('keyManager.tls.insecure', 'boolean', 'true: the certificate is not verified. Never in production.', {
      default: false,
    }),
    row('keyManager.breaker.failures', 'integer', 'Consecutive failures after which no calls are made.', {
      default: 5,
      range: [1, 1000],
    }),
    row('keyManager.breaker.openFor', 'duration', 'How long until one call is tried again.', { default: '1s' }),
    row(`${BASIC}.enabled`, 'boolean', 'Absent: true when a username is written.', wso2),
    row(`${BASIC}.username`, 'text', 'User name or client id.', wso2),
    row(
      `${BASIC}.password`,
      'secret',
      'Password or client secret; none with private_key_jwt and tls_client_auth.',
      wso2,
    ),
    row(`${BASIC}.encoding`, 'text', '`raw`: RFC 7617. `form`: RFC 6749 section 2.3.1, for servers that decode.', {
      default: 'raw',
      choices: ['raw', 'form'],
    }),
    row(
      `${BASIC}.method`,
      'text',
      '`header`: HTTP Basic. `post`: client_id and client_secret in the body. `client_secret_jwt`, `private_key_jwt`: a signed assertion (RFC 7523). `tls_client_auth`: the certificate of keyManager.tls (RFC 8705).',
      { default: 'header', choices: ['header', 'post', 'client_secret_jwt', 'private_key_jwt', 'tls_client_auth'] },
    ),
    ...assertionRows(BASIC),
    row('keyManager.security.none.enabled', 'boolean', 'true: no credentials are sent to the introspection endpoint.', {
      default: false,
    }),
    row('keyManager.username', 'text', `Older spelling of \`${BASIC}.username\`.`, wso2),
    row('keyManager.password', 'secret', `Older spelling of \`${BASIC}.password\`.`, wso2),
    ...oauth2Rows(),
    row('keyManager.issuer', 'text', 'Accepted; use `policy.issuer`.', { ...wso2, status: 'unused' }),
    row('keyManager.jwksURL', 'text', 'Accepted.', { ...wso2, status: 'unused' }),
    row('keyManager.remoteUserClaimRetrievalEnabled', 'boolean', 'Accepted.', { ...wso2, status: 'unused' }),
    row('keyManager.enableIntrospectForFailedJWT', 'boolean', 'Accepted: every token is introspected.', {
      ...wso2,
      status: 'unused',
    }),
    row('keyManagers.*', 'any', 'Several key managers.', { status: 'later' }),
  ]
}

/** RFC 7523: what signs the assertion of `private_key_jwt` and `client_secret_jwt`. */
function assertionRows(section: string): readonly Row[] {
  return [
    row(`${section}.assertionKeyFile`, 'text', 'PEM private key that signs the assertion of private_key_jwt.'),
    row(`${section}.assertionKeyId`, 'text', '`kid` in the header of the assertion.'),
    row(
      `${section}.assertionAlg`,
      'text',
      'JWS algorithm of the assertion; absent: HS256 for a secret, else what the key is for (RS256, ES256, ES384, ES512, EdDSA).',
    ),
    row(
      `${section}.assertionAudience`,
      'text',
      '`aud` of the assertion; absent: the URL that is called. Some servers want their issuer here.',
    ),
  ]
}

/** The own token: an access token of the sidecar, by which it authenticates to the introspection endpoint. */
function oauth2Rows(): readonly Row[] {
  const endpoint = (name: string): readonly Row[] => [
    row(`${OAUTH2}.${name}.clientId`, 'text', 'Client id at the token endpoint.', wso2),
    row(
      `${OAUTH2}.${name}.clientSecret`,
      'secrets',
      'Client secret, or in the file a list of two during a rotation: the second is used after `invalid_client`.',
      wso2,
    ),
    row(
      `${OAUTH2}.${name}.scopes`,
      'scopes',
      'Scopes to ask for: a list, or text separated by commas or spaces.',
      wso2,
    ),
    row(`${OAUTH2}.${name}.resource`, 'scopes', '`resource` of RFC 8707: absolute URIs, one or a list.'),
    row(`${OAUTH2}.${name}.audience`, 'text', '`audience`, which some servers ask for.'),
  ]
  const grant = (name: string, doc: string): readonly Row[] => [
    row(`${OAUTH2}.${name}.enabled`, 'boolean', doc, { ...wso2, default: false }),
    ...endpoint(name),
  ]
  return [
    row(`${OAUTH2}.enabled`, 'boolean', 'Authenticate by an access token of our own.', { ...wso2, default: false }),
    row(`${OAUTH2}.tokenUrl`, 'text', 'Token endpoint; needed for clientCredential and password.', wso2),
    row(
      `${OAUTH2}.credentialBearer`,
      'text',
      'How the client authenticates at the token endpoint. `AUTH_HEADER_BEARER`: HTTP Basic, encoded as RFC 6749 section 2.3.1 says. `POST_BODY_BEARER`: client_id and client_secret in the body. `NO_BEARER`: not at all.',
      { ...wso2, default: 'AUTH_HEADER_BEARER', choices: ['AUTH_HEADER_BEARER', 'POST_BODY_BEARER', 'NO_BEARER'] },
    ),
    row(
      `${OAUTH2}.clientAuthMethod`,
      'text',
      'Instead of credentialBearer: `client_secret_jwt`, `private_key_jwt` (RFC 7523), `tls_client_auth` (RFC 8705).',
      { choices: ['client_secret_jwt', 'private_key_jwt', 'tls_client_auth'] },
    ),
    ...assertionRows(OAUTH2),
    ...grant('clientCredential', 'Client credentials grant (RFC 6749 section 4.4).'),
    ...grant('password', 'Resource owner password grant, which RFC 9700 forbids for new systems.'),
    row(`${OAUTH2}.password.username`, 'text', 'Resource owner.', wso2),
    row(`${OAUTH2}.password.password`, 'secret', 'Password of the resource owner.', wso2),
    row(`${OAUTH2}.directToken.enabled`, 'boolean', 'A configured access token.', { ...wso2, default: false }),
    row(`${OAUTH2}.directToken.accessToken`, 'secret', 'Sent as it is; may be empty with refresh.', wso2),
    ...grant('refresh', 'Renewal by refresh token, with password or directToken.'),
    row(`${OAUTH2}.refresh.refreshUrl`, 'text', 'Refresh endpoint; with password it defaults to tokenUrl.', wso2),
    row(`${OAUTH2}.refresh.refreshToken`, 'secret', 'First refresh token, with directToken.', wso2),
    row(
      `${OAUTH2}.refresh.stateFile`,
      'text',
      'Where a rotated refresh token survives a restart (mode 0600). One replica a file.',
    ),
  ]
}
