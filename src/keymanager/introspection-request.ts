/** The request half of introspection (RFC 7662 section 2.1): one POST, and what came of it. */
import type { CheckTrace, Clock, Introspected } from '../authz/ports.ts'
import type { KeyManagerConfig } from '../config/config.ts'
import { createClientAuthentication } from './client-authentication.ts'
import { FormBody } from './form-body.ts'
import { readIntrospectionAnswer } from './introspection-answer.ts'
import type { ClientOf } from './introspection-clients.ts'
import { noCall, UNEXPECTED } from './introspection-outcome.ts'
import type { Held } from './own-token.ts'

/** Sends `token`, by this own token or as a client. Never rejects. */
export type IntrospectionRequest = (token: string, held: Held | undefined, trace?: CheckTrace) => Promise<Introspected>

/** `clients`: where to; undefined where that is not known. */
export function createIntrospectionRequest(
  settings: KeyManagerConfig,
  clients: () => ClientOf | undefined | Promise<ClientOf | undefined>,
  clock: Clock,
): IntrospectionRequest {
  const { security, tokenTypeHint, lenientExp } = settings
  const authenticate = security.kind === 'own_token' ? undefined : createClientAuthentication(security, clock.wallMs)
  const authenticated = security.kind !== 'none'

  const formOf = (token: string): FormBody => {
    const form = new FormBody()
    form.add('token', token)
    if (tokenTypeHint !== undefined) form.add('token_type_hint', tokenTypeHint)
    return form
  }
  /** RFC 7523 section 3: a server may refuse an assertion that it has seen, so a repeated call is signed anew. */
  const signAgain = (token: string, url: string) => async (): Promise<string> => {
    const form = formOf(token)
    await authenticate?.({ url, headers: {}, form })
    return form.toString()
  }

  return async (token, held, trace) => {
    try {
      // No await where there is nothing to wait for: each is a turn of the microtask queue on every miss.
      const found = clients()
      const http = found instanceof Promise ? await found : found
      if (http === undefined) return noCall('the introspection endpoint is not known: discovery has not succeeded', 0)
      const form = formOf(token)
      const headers: Record<string, string> = {
        accept: 'application/json',
        'accept-encoding': 'identity',
        'content-type': 'application/x-www-form-urlencoded',
      }
      let bodyAgain: (() => Promise<string>) | undefined
      if (held !== undefined) headers['authorization'] = `Bearer ${held.value}`
      else if (authenticate === undefined) return noCall('there is no own token', 0)
      else {
        const signing = authenticate({ url: http.url, headers, form })
        if (signing !== undefined) {
          await signing
          bodyAgain = signAgain(token, http.url)
        }
      }
      const traced = trace?.call(http.url)
      if (traced !== undefined) Object.assign(headers, traced.headers)
      const result = await http.client.post(headers, form.toString(), bodyAgain)
      traced?.end(result.ok ? result.status : result.kind)
      if (!result.ok) return { kind: 'unavailable', cause: result.kind, retryAfterMs: 0, detail: result.detail }
      return readIntrospectionAnswer(result, { lenientExp, authenticated, nowWallMs: clock.wallMs() })
    } catch {
      // Fail closed: an answer that could not be read is none. The error may hold the token, so it goes no further.
      return UNEXPECTED
    }
  }
}
