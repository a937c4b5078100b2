/** Listener addresses. */
import type { HostPort, ListenAddress } from './config.ts'

/** sun_path holds 108 bytes, one of them the closing NUL. */
const LONGEST_SOCKET_PATH = 107

export type ReadAddress<T> =
  | { readonly kind: 'address'; readonly address: T }
  | { readonly kind: 'problem'; readonly problem: string }

/** `host:port`, `[::1]:port` or `unix:/path`. */
export function readListenAddress(text: string): ReadAddress<ListenAddress> {
  if (/^unix-abstract:|^unix:@/.test(text)) {
    return problem(
      'is an abstract Unix socket, which cannot be bound here. Write "unix:/run/micro-gw-authz/authz.sock"',
    )
  }
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length).replace(/^\/+/, '/')
    if (!path.startsWith('/') || path === '/' || path.endsWith('/') || path.includes('\0')) {
      return problem('must name an absolute path after `unix:`')
    }
    if (Buffer.byteLength(path) > LONGEST_SOCKET_PATH)
      return problem(`is a socket path longer than ${LONGEST_SOCKET_PATH} bytes`)
    return { kind: 'address', address: { kind: 'unix', path } }
  }
  const read = readHostPort(text)
  return read.kind === 'problem' ? read : { kind: 'address', address: { kind: 'tcp', ...read.address } }
}

/** `host:port` or `[::1]:port`; port 0 lets the system choose. The host comes without brackets. */
export function readHostPort(text: string): ReadAddress<HostPort> {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text)
  const [, v6, name, digits] = match ?? []
  const host = v6 ?? name
  const port = Number(digits)
  if (host === undefined || port > 65_535)
    return problem('must be `host:port`, such as "127.0.0.1:9001" or "[::1]:9001", with a port up to 65535')
  return { kind: 'address', address: { host, port } }
}

/** As `readHostPort` reads it. */
export function joinHostPort({ host, port }: HostPort): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

function problem(text: string): { readonly kind: 'problem'; readonly problem: string } {
  return { kind: 'problem', problem: text }
}
