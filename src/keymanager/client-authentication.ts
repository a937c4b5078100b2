/** How the sidecar authenticates to `/introspect`: a function that adds to the request, never two methods in one. */
import type { ClientSecurity } from '../config/config.ts'

/** What a method may add to: header names in lower case, and the form. */
export interface Authenticable {
  readonly headers: Record<string, string>
  readonly form: URLSearchParams
}

/** Adds credentials to one request; never to its URL (RFC 6749 section 2.3.1). */
export type ClientAuthentication = (request: Authenticable) => void

/** Encodes once what does not change from call to call. */
export function createClientAuthentication(security: ClientSecurity): ClientAuthentication {
  if (security.kind === 'none') return () => undefined
  const { username } = security
  const password = security.password.reveal()
  if (security.method === 'post') {
    return ({ form }) => {
      form.set('client_id', username)
      form.set('client_secret', password)
    }
  }
  const authorization = security.encoding === 'form' ? formBasic(username, password) : rawBasic(username, password)
  return ({ headers }) => {
    Object.assign(headers, { authorization })
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

/** The WHATWG form serializer on one value: leaves `A-Za-z0-9*-._` alone, a space becomes `+`. */
export function formEncode(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1)
}

/** True where the header is sent raw and a key manager that form-decodes it would read something else. */
export function isSpeltDifferentlyInForm(security: ClientSecurity): boolean {
  if (security.kind !== 'basic' || security.method !== 'header' || security.encoding !== 'raw') return false
  const { username, password } = security
  return formEncode(username) !== username || formEncode(password.reveal()) !== password.reveal()
}
