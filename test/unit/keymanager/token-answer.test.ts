import { expect } from 'chai'
import fc from 'fast-check'
import { describe, it } from 'mocha'
import { readLifeSec, readTokenAnswer } from '../../../src/keymanager/token-answer.ts'

const json = { 'content-type': 'application/json;charset=UTF-8' }
const read = (body: unknown, status = 200, headers: Record<string, string> = json) =>
  readTokenAnswer({ status, headers, text: typeof body === 'string' ? body : JSON.stringify(body) }, 0)
const good = { access_token: 'abc', token_type: 'bearer', expires_in: 60 }

describe('the answer of a token endpoint', () => {
  it('C52 C60 is granted with 200 and, tolerated, 201; token_type in any case', () => {
    for (const status of [200, 201]) {
      expect(read({ ...good, token_type: 'BEARER' }, status)).to.deep.equal({
        kind: 'granted',
        accessToken: 'abc',
        lifeMs: 60_000,
        refreshToken: undefined,
        scope: undefined,
      })
    }
  })
  it('C52 is malformed without access_token or with another token_type, and so is what is no JSON object', () => {
    const bad = [
      { ...good, access_token: undefined },
      { ...good, access_token: 'line\nend' },
      { ...good, access_token: 7 },
      { ...good, token_type: 'DPoP' },
      { ...good, token_type: undefined },
      { ...good, refresh_token: 7 },
      [],
      'null',
      '{"access_token"',
    ]
    for (const body of bad) expect(read(body)).to.include({ kind: 'refused', outcome: 'malformed' })
    expect(read(good, 200, { 'content-type': 'text/html' })).to.include({ outcome: 'malformed' })
    expect(read(good, 200, {})).to.include({ outcome: 'malformed' })
  })
  it('C58 keeps the registered error words and no text of the server', () => {
    const refused = read({ error: 'invalid_grant', error_description: 'canary-secret' }, 400)
    expect(refused).to.include({ kind: 'refused', outcome: 'rejected', error: 'invalid_grant' })
    expect(JSON.stringify(refused)).not.to.include('canary')
    expect(read({ error: 'canary-secret' }, 400)).to.include({ outcome: 'rejected', error: undefined })
    expect(JSON.stringify(read({ error: 'canary-secret' }, 400))).not.to.include('canary')
  })
  it('RFC 6749 section 5.2: a 401 speaks of the credentials, whatever Keycloak calls it', () => {
    const wrongSecret = read({ error: 'unauthorized_client' }, 401)
    expect(wrongSecret).to.include({ outcome: 'rejected', error: 'invalid_client' })
    expect(wrongSecret).to.have.property('detail').that.includes('401 unauthorized_client').and.includes('secret')
    expect(read({ error: 'unauthorized_client' }, 400)).to.include({ error: 'unauthorized_client' })
    expect(read({ error: 'invalid_scope' }, 401)).to.include({ error: 'invalid_scope' })
  })
  it('a 200 that carries an error is no token', () => {
    expect(read({ error: 'invalid_grant' })).to.include({ kind: 'refused', outcome: 'malformed' })
  })
  it('tells 429, 5xx and redirects apart', () => {
    expect(read('', 429, { 'retry-after': '3' })).to.include({ outcome: 'throttled', retryAfterMs: 3_000 })
    expect(read('', 500)).to.include({ outcome: 'server_error' })
    expect(read(good, 302)).to.include({ kind: 'refused', outcome: 'rejected' })
  })

  it('P24 C53 C54 expires_in: floored, 1 to 86,400 seconds, else 300', () => {
    const cases: readonly (readonly [unknown, number])[] = [
      [1, 1],
      [1.9, 1],
      ['60', 60],
      ['60.7', 60],
      [0, 300],
      [0.5, 300],
      [-5, 300],
      ['-5', 300],
      ['1e9', 300],
      ['soon', 300],
      [undefined, 300],
      [null, 300],
      [true, 300],
      [[60], 300],
      [Number.NaN, 300],
      [Number.POSITIVE_INFINITY, 300],
      [1e308, 86_400],
      [2 ** 63, 86_400],
    ]
    for (const [value, seconds] of cases) expect(readLifeSec(value), String(value)).to.equal(seconds)
  })

  it('is total: any status, headers and text become one of the two', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 599 }), fc.oneof(fc.string(), fc.json()), (status, text) => {
        const result = readTokenAnswer({ status, headers: json, text }, 0)
        if (result.kind === 'granted') expect(status === 200 || status === 201).to.equal(true)
      }),
    )
  })
})
