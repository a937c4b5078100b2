/**
 * What a worker needs of the primary's environment: what Node, the C library and a tracing module loaded by NODE_OPTIONS
 * read. Secrets that the configuration takes from variables, whatever these are called, stay in the primary.
 */
const PREFIXES = ['NODE_', 'OTEL_', 'GRPC_', 'UV_', 'LD_', 'MALLOC_', 'LC_', 'SSL_CERT_', 'OPENSSL_']
const NAMES = new Set([
  'PATH',
  'HOME',
  'HOSTNAME',
  'TMPDIR',
  'LANG',
  'TZ',
  'GLIBC_TUNABLES',
  'RES_OPTIONS',
  'LOCALDOMAIN',
])
/** Upper or lower case. */
const PROXIES = new Set(['http_proxy', 'https_proxy', 'no_proxy'])

export function workerEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => isPassed(name)))
}

function isPassed(name: string): boolean {
  return NAMES.has(name) || PREFIXES.some((prefix) => name.startsWith(prefix)) || PROXIES.has(name.toLowerCase())
}
