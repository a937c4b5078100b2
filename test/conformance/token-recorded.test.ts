/** What a real token endpoint answered, replayed over a real socket to the grant that would have asked. */
import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { after, before, describe, it } from 'mocha'
import type { TokenEndpointConfig } from '../../src/config/config.ts'
import { Secret } from '../../src/config/secret.ts'
import { createGrants } from '../../src/keymanager/grants.ts'
import { defaultTls } from '../../src/net/tls.ts'
import { createFakeClock } from '../support/clock.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'

interface Recorded {
  readonly case: string
  readonly request: { readonly path: string; readonly body: string | null }
  readonly response: { readonly status: number; readonly headers: Record<string, string>; readonly body: string }
}

const file = new URL('../fixtures/recorded/django-oauth-toolkit.json', import.meta.url)
const isTokenRequest = ({ request }: Recorded): boolean => request.path === '/o/token/'
const recorded = (JSON.parse(readFileSync(file, 'utf8')) as Recorded[]).filter(isTokenRequest)
const hopByHop: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding', 'connection'])

/** The expected outcome by case: `granted`, or the error that is understood. */
const EXPECTED: readonly (readonly [words: RegExp, outcome: string])[] = [
  [/Basic raw, special secret|no credentials|wrong secret/, 'invalid_client'],
  [/unknown scope|empty scope/, 'invalid_scope'],
  [/unknown grant/, 'unsupported_grant_type'],
  [/wrong password|rotated \(used\)|after the reuse|garbage refresh token/, 'invalid_grant'],
  [/./, 'granted'],
]

describe('recorded answers of a token endpoint', () => {
  let server: ScriptedKeyManager
  before(async () => {
    server = await startKeyManager()
  })
  after(() => server.close())

  it('are there', () => expect(recorded).to.have.length.at.least(15))

  for (const [index, { case: name, request, response }] of recorded.entries()) {
    const outcome = EXPECTED.find(([words]) => words.test(name))?.[1]
    it(`${index}: ${name} is ${outcome}`, async () => {
      const headers = Object.fromEntries(Object.entries(response.headers).filter(([header]) => !hopByHop.has(header)))
      const body = response.body.replace('{access_token}', 'accessA1').replace('{refresh_token}', 'refreshR1')
      server.answer({ status: response.status, headers, body })
      const result = await ask(request.body ?? '', `http://127.0.0.1:${server.port}/o/token/`)
      expect(result.kind === 'granted' ? 'granted' : result.error).to.equal(outcome)
      if (result.kind !== 'granted') return
      expect(result.accessToken).to.equal('accessA1')
      expect(result.lifeMs).to.equal(JSON.parse(body).expires_in * 1_000)
      expect(result.refreshToken).to.equal(body.includes('refreshR1') ? 'refreshR1' : undefined)
    })
  }
})

async function ask(body: string, url: string) {
  const form = new URLSearchParams(body)
  const endpoint: TokenEndpointConfig = {
    url,
    clients: [{ kind: 'basic', username: 'rs', password: new Secret('s'), encoding: 'form', method: 'header' }],
    scope: form.get('scope') ?? '',
    resource: [],
    audience: undefined,
  }
  const clock = createFakeClock()
  const dependencies = { clock, tls: defaultTls, proxy: undefined, discovered: async () => undefined }
  if (form.get('grant_type') === 'client_credentials' || form.get('grant_type') === 'nonsense') {
    const grants = createGrants({ grant: 'client_credentials', endpoint }, dependencies)
    return grants.first?.ask() ?? expect.fail('client credentials can be asked for')
  }
  const refresh = { ...endpoint, refreshToken: undefined, stateFile: undefined }
  const grants = createGrants(
    { grant: 'password', endpoint, username: 'u', password: new Secret('p'), refresh },
    dependencies,
  )
  const refreshToken = form.get('refresh_token')
  if (refreshToken === null) return grants.first?.ask() ?? expect.fail('a password can be asked with')
  return grants.refresh?.(refreshToken) ?? expect.fail('a refresh token can be asked with')
}
