/**
 * What a worker needs of the primary's environment: what Node, the C library and a tracing module loaded by NODE_OPTIONS
 * read. Secrets that the configuration takes from variables stay in the primary, unless these are called so.
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

/** The primary's debugger has its port; these outdo NODE_OPTIONS too. SIGUSR1 still opens one, at a port of its own. */
const NO_INSPECTOR = ['--no-inspect', '--no-inspect-brk', '--no-inspect-wait', '--inspect-port=0']

/** Node's own flags, without those that read variables from a file: they would bring back what is left out above. */
export function workerFlags(flags: readonly string[]): string[] {
  const isFile = (flag = ''): boolean => /^--env-file(?:-if-exists)?(?:=|$)/.test(flag)
  const kept = flags.filter((flag, at) => !isFile(flag) && !(isFile(flags[at - 1]) && !flags[at - 1]?.includes('=')))
  return [...kept, ...NO_INSPECTOR]
}
