/** Keys this sidecar adds: listeners, cache, headers, log; and the keys of WSO2 they stand beside. */
import { type Row, row } from './schema-row.ts'

const wso2 = { origin: 'wso2' } as const

/** `[extAuthz]`, `[admin]`, `[caching]`, `[authConfig]`, `[upstreamHeaders]`, `[metadata]`, `[log]`. */
export function sidecarRows(): readonly Row[] {
  return [
    row(
      'extAuthz.listen',
      'addresses',
      'Where Envoy calls: `host:port`, `unix:/path`, or a list. Changes need a restart.',
      {
        default: '127.0.0.1:9001',
      },
    ),
    row('extAuthz.socketMode', 'text', 'Octal mode of Unix sockets.', { default: '0660' }),
    row(
      'extAuthz.workers',
      'workers',
      'Processes that answer Checks, 1 to 64; `"auto"`: one for each processor it may use. Changes need a restart. See [workers.md](workers.md).',
      { default: 1 },
    ),
    row('extAuthz.realm', 'text', '`realm` of the `WWW-Authenticate` challenge.', { default: 'micro-gw' }),
    row('extAuthz.unavailable', 'text', '`deny`: 503. `error`: error_response, for Envoy 1.37 and newer.', {
      default: 'deny',
      choices: ['deny', 'error'],
    }),
    row('extAuthz.drainDelay', 'duration', 'After SIGTERM, how long to go on accepting.', { default: '5s' }),
    row('extAuthz.drainTimeout', 'duration', 'How long to let calls in flight finish.', { default: '20s' }),
    row(
      'extAuthz.drainHealth',
      'boolean',
      'true: gRPC health is NOT_SERVING at once on SIGTERM, for a standalone service.',
      { default: false },
    ),
    row(
      'extAuthz.allowCorsPreflight',
      'boolean',
      'true: a CORS preflight without credentials passes, whatever the rules say.',
      {
        default: false,
      },
    ),
    row('extAuthz.resourceMetadata', 'text', 'RFC 9728 URL for the challenge.'),
    row('extAuthz.tls.certFile', 'text', 'PEM certificate of the listener, with keyFile.'),
    row('extAuthz.tls.keyFile', 'text', 'PEM key of certFile.'),
    row('extAuthz.tls.clientCaFile', 'text', 'PEM authorities of client certificates, which are then required.'),
    row('admin.listen', 'text', '`/metrics`, `/livez`, `/readyz` and nothing else.', { default: '0.0.0.0:9797' }),
    row('admin.localListen', 'text', '`/config`, `/status`, `/decisions`; empty: off.', {
      default: '127.0.0.1:9798',
      emptyIsValue: true,
    }),
    row('admin.revocationToken', 'secret', 'Bearer token for `POST /revocations`, which is not supported yet.', {
      status: 'later',
    }),
    row('caching.enabled', 'boolean', 'false: every request introspects.', { ...wso2, default: true }),
    row(
      'caching.tokenCacheExpiryTime',
      'duration',
      'Life of an active answer, never beyond its `exp`. A bare number is milliseconds; 0 switches the cache off.',
      {
        ...wso2,
        default: '15m',
        unit: 'ms',
      },
    ),
    row('caching.tokenCacheCapacity', 'integer', 'Active answers remembered (entries, not MB).', {
      ...wso2,
      default: 10_000,
      range: [1, 100_000_000],
    }),
    row('caching.tokenCacheEvictionFactor', 'any', 'Accepted: eviction here is one entry at a time.', {
      ...wso2,
      status: 'unused',
    }),
    row('caching.inactiveExpiryTime', 'duration', 'Life of an inactive answer.', { default: '10s' }),
    row('caching.inactiveCapacity', 'integer', 'Inactive answers remembered.', {
      default: 10_000,
      range: [1, 100_000_000],
    }),
    row('caching.staleIfError', 'duration', 'Service past the life while the key manager is down; not supported yet.', {
      default: '0s',
      status: 'later',
    }),
    row('caching.store', 'text', '`memory`; a shared store is not supported yet.', {
      default: 'memory',
      status: 'later',
    }),
    row('caching.storeTimeout', 'duration', 'For one operation of the shared store.', {
      default: '20ms',
      status: 'later',
    }),
    row('caching.encryptionKey', 'list', 'Keys that seal entries of the shared store.', {
      default: [],
      status: 'later',
    }),
    row('caching.unsealed', 'boolean', 'Allows a shared store without a key.', { default: false, status: 'later' }),
    row('caching.keyPrefix', 'text', 'Prefix of keys in the shared store.', { default: 'mgw', status: 'later' }),
    row(
      'authConfig.authorizationHeader',
      'text',
      'The header that holds the credentials; none of `[upstreamHeaders]`, defaults included.',
      {
        ...wso2,
        default: 'Authorization',
      },
    ),
    row('authConfig.removeAuthHeaderFromOutMessage', 'boolean', 'Whether that header is removed before the upstream.', {
      ...wso2,
      default: true,
    }),
    row(
      'upstreamHeaders',
      'map',
      'header = claim. Defaults: x-auth-subject = sub, x-auth-username = username, x-auth-client-id = client_id, x-auth-scope = scope; an empty claim removes one.',
    ),
    row('metadata.claims', 'list', 'Further claims for dynamic metadata.', { default: [] }),
    row('log.level', 'text', 'Lowest level written.', { default: 'info', choices: ['debug', 'info', 'warn', 'error'] }),
    row('log.allow', 'boolean', 'A decision line for allows too.', { default: false }),
    row('log.maxDenyPerSecond', 'integer', 'Decision lines per reason and second.', {
      default: 50,
      range: [0, 1_000_000],
    }),
  ]
}
