/** A Check as the domain sees it, for tests that need no wire. */
import type { CheckView } from '../../src/authz/ports.ts'

/** GET https://api.example.com/ without credentials, but for what is given; `headers` answer `header()`. */
export function checkView(
  parts: Partial<Omit<CheckView, 'header'>> & { headers?: Readonly<Record<string, string>> } = {},
): CheckView {
  const { headers = {}, ...rest } = parts
  return {
    form: 'http',
    method: 'GET',
    path: '/',
    host: 'api.example.com',
    credentials: undefined,
    credentialsCount: 0,
    contextKey: '',
    contextExtensions: () => new Map(),
    ...rest,
    header: (name) => headers[name],
  }
}
