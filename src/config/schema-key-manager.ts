/** Keys of the key manager: where it is, how it is called, how the sidecar authenticates there. */
import { type Row, row } from './schema-row.ts'

const BASIC = 'keyManager.security.basic'
const OAUTH2 = 'keyManager.security.oauth2'

const wso2 = { origin: 'wso2' } as const
const later = { origin: 'wso2', status: 'later' } as const

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
    row('keyManager.proxy', 'text', 'Forward proxy to the key manager, `http://host:port`.'),
    row('keyManager.lenientExp', 'boolean', 'Accepts `exp` and `nbf` as numeric strings.', { default: false }),
    row(
      'keyManager.tls.caFile',
      'text',
      'PEM file of the authorities that sign the certificate of the key manager; absent: those of the system.',
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
    row(`${BASIC}.password`, 'secret', 'Password or client secret.', wso2),
    row(`${BASIC}.encoding`, 'text', '`raw`: RFC 7617. `form`: RFC 6749 section 2.3.1, for servers that decode.', {
      default: 'raw',
      choices: ['raw', 'form'],
    }),
    row(`${BASIC}.method`, 'text', '`header`: HTTP Basic. `post`: client_id and client_secret in the body.', {
      default: 'header',
      choices: ['header', 'post'],
    }),
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

/** Known and type-checked; `enabled = true` is not supported yet. */
function oauth2Rows(): readonly Row[] {
  const grant = (name: string, doc: string): readonly Row[] => [
    row(`${OAUTH2}.${name}.enabled`, 'boolean', doc, { ...later, default: false }),
    row(`${OAUTH2}.${name}.clientId`, 'text', 'Client id at the token endpoint.', later),
    row(
      `${OAUTH2}.${name}.clientSecret`,
      'secrets',
      'Client secret, or in the file a list of two during a rotation.',
      later,
    ),
    row(
      `${OAUTH2}.${name}.scopes`,
      'scopes',
      'Scopes to ask for: a list, or text separated by commas or spaces.',
      later,
    ),
  ]
  return [
    row(`${OAUTH2}.enabled`, 'boolean', 'Authenticate by an access token of our own.', { ...later, default: false }),
    row(`${OAUTH2}.tokenUrl`, 'text', 'Token endpoint; needed for clientCredential and password.', later),
    row(`${OAUTH2}.credentialBearer`, 'text', 'How the client authenticates at the token endpoint.', {
      ...later,
      default: 'AUTH_HEADER_BEARER',
      choices: ['AUTH_HEADER_BEARER', 'POST_BODY_BEARER', 'NO_BEARER'],
    }),
    ...grant('clientCredential', 'Client credentials grant.'),
    ...grant('password', 'Resource owner password grant, which RFC 9700 forbids for new systems.'),
    row(`${OAUTH2}.password.username`, 'text', 'Resource owner.', later),
    row(`${OAUTH2}.password.password`, 'secret', 'Password of the resource owner.', later),
    row(`${OAUTH2}.directToken.enabled`, 'boolean', 'A configured access token.', { ...later, default: false }),
    row(`${OAUTH2}.directToken.accessToken`, 'secret', 'Sent as it is; may be empty with refresh.', later),
    ...grant('refresh', 'Renewal by refresh token, with password or directToken.'),
    row(`${OAUTH2}.refresh.refreshUrl`, 'text', 'Refresh endpoint; with password it defaults to tokenUrl.', later),
    row(`${OAUTH2}.refresh.refreshToken`, 'secret', 'First refresh token, with directToken.', later),
    row(`${OAUTH2}.refresh.stateFile`, 'text', 'Where a rotated refresh token survives a restart.', {
      status: 'later',
    }),
  ]
}
