/** What a file of WSO2 API Microgateway 3.1 or 3.2 holds besides: the few keys that mean something, then what is accepted by name. */
import { type Row, row } from './schema-row.ts'

const used = { origin: 'wso2' } as const
const later = { origin: 'wso2', status: 'later' } as const
const unused = { origin: 'wso2', status: 'unused' } as const

const METRICS = 'b7a.observability.metrics'

/** Tables none of whose keys matters here. */
const UNUSED_TABLES = [
  'analytics',
  'apikey',
  'b7a',
  'filters',
  'http2',
  'listenerConfig',
  'mutualSSLConfig',
  'security',
  'server',
  'apim',
  'throttlingConfig',
  'validationConfig',
  'httpClients',
  'jwtConfig',
  'jwtGeneratorConfig',
  'tokenRevocationConfig',
] as const

/** Used keys first, then one wildcard row a table. */
export function wso2Rows(): readonly Row[] {
  return [
    row(
      'server.timestampSkew',
      'duration',
      'Used where `keyManager.timestampSkew` is absent. A bare number is milliseconds.',
      {
        ...used,
        unit: 'ms',
      },
    ),
    row(`${METRICS}.enabled`, 'boolean', 'false: `/metrics` answers 404.', { ...used, default: true }),
    row(`${METRICS}.prometheus.port`, 'integer', 'Port of the admin listener where `admin.listen` is absent.', {
      ...used,
      default: 9797,
      range: [0, 65_535],
    }),
    row(`${METRICS}.prometheus.host`, 'any', 'Not used: the host of `admin.listen` counts.', unused),
    row('httpClients.proxy.enable', 'boolean', 'Not used: the proxy of upstream calls.', unused),
    row('httpClients.proxy.enableInternalServices', 'boolean', 'true: the key manager is called through this proxy.', {
      ...used,
      default: false,
    }),
    row('httpClients.proxy.host', 'text', 'Host of the proxy.', used),
    row('httpClients.proxy.port', 'integer', 'Port of the proxy.', { ...used, range: [0, 65_535] }),
    row('httpClients.proxy.username', 'text', 'Proxy credentials are not supported yet.', later),
    row('httpClients.proxy.password', 'secret', 'Proxy credentials are not supported yet.', later),
    row('security.validateSubscriptions', 'boolean', 'true is an error: not supported.', { ...later, default: false }),
    row('apim.eventHub.enable', 'boolean', 'true is an error: not supported.', { ...later, default: false }),
    row(
      'jwtTokenConfig.validateSubscription',
      'boolean',
      'true is an error: not supported. In `[[jwtTokenConfig]]` too.',
      {
        ...later,
        default: false,
      },
    ),
    row('jwtConfig.enabled', 'boolean', 'Backend JWT, not supported yet.', { ...later, default: false }),
    row('jwtGeneratorConfig.enabled', 'boolean', 'Backend JWT, not supported yet.', { ...later, default: false }),
    row('jwtGeneratorConfig.jwtGeneratorEnabled', 'boolean', 'Backend JWT, not supported yet.', {
      ...later,
      default: false,
    }),
    row('tokenRevocationConfig.realtime.enable', 'boolean', 'Real-time revocation, not supported yet.', {
      ...later,
      default: false,
    }),
    row(
      'tokenRevocationConfig.realtime.enableRealtimeMessageRetrieval',
      'boolean',
      'Real-time revocation, not supported yet.',
      {
        ...later,
        default: false,
      },
    ),
    row(
      'jwtTokenConfig',
      'tables',
      'Local JWT verification, later: until then every token, JWT or opaque, is introspected.',
      later,
    ),
    row('jwtTokenConfig.*', 'any', 'Accepted, not used by this sidecar.', unused),
    ...UNUSED_TABLES.map((name) => row(`${name}.*`, 'any', 'Accepted, not used by this sidecar.', unused)),
  ]
}
