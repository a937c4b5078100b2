/** How the sidecar authenticates at an endpoint: a function that adds to the request, never two methods in one. */
import type { ClientMethod, ClientSecurity } from '../config/config.ts'
import { createAssertion } from './client-assertion.ts'
import { type FormBody, formEncode } from './form-body.ts'

/** What a method may add to: header names in lower case, and the form. */
export interface Authenticable {
  readonly url: string
  readonly headers: Record<string, string>
  readonly form: FormBody
}

/**
 * Adds credentials to one request; never to its URL (RFC 6749 section 2.3.1). A Promise only where something is signed;
 * it rejects where that fails, and nothing may be sent then.
 */
export type ClientAuthentication = (request: Authenticable) => void | Promise<void>

/** Encodes once what does not change from call to call. `nowWallMs`: wall clock, for assertions. */
export function createClientAuthentication(method: ClientMethod, nowWallMs: () => number): ClientAuthentication {
  switch (method.kind) {
    case 'none':
      return () => undefined
    case 'basic':
      return basicAuthentication(method)
    case 'private_key_jwt':
    case 'client_secret_jwt': {
      const sign = createAssertion(method, nowWallMs)
      return async ({ url, form }) => {
        const assertion = await sign(url)
        form.add('client_id', method.clientId)
        form.add('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
        form.add('client_assertion', assertion)
      }
    }
    case 'tls_client_auth':
      // RFC 8705 section 2: the certificate is the credential, client_id says whose it is.
      return ({ form }) => form.add('client_id', method.clientId)
    default:
      return method satisfies never
  }
}

function basicAuthentication(basic: Extract<ClientMethod, { kind: 'basic' }>): ClientAuthentication {
  const { username } = basic
  const password = basic.password.reveal()
  if (basic.method === 'post') {
    return ({ form }) => {
      form.add('client_id', username)
      form.add('client_secret', password)
    }
  }
  const authorization = basic.encoding === 'form' ? formBasic(username, password) : rawBasic(username, password)
  return ({ headers }) => {
    headers['authorization'] = authorization
  }
}

/** RFC 7617: the very characters, as UTF-8. WSO2's way. */
export function rawBasic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`
}

/** RFC 6749 section 2.3.1: id and secret form-encoded (Appendix B), then as RFC 7617. */
export function formBasic(clientId: string, clientSecret: string): string {
  return rawBasic(formEncode(clientId), formEncode(clientSecret))
}

/** True where the header is sent raw and a key manager that form-decodes it would read something else. */
export function isSpeltDifferentlyInForm(security: ClientSecurity): boolean {
  if (security.kind !== 'basic' || security.method !== 'header' || security.encoding !== 'raw') return false
  const { username, password } = security
  return formEncode(username) !== username || formEncode(password.reveal()) !== password.reveal()
}
