import { expect } from 'chai'
import { describe, it } from 'mocha'
import type { Allowed, CacheResult, Denied } from '../../../src/authz/ports.ts'
import { createReplyEncoder } from '../../../src/envoy/check-response.ts'
import { answerOf, claimsOf, DECISION, decodeReply, plain, settingsOf } from './samples.ts'

const claims = claimsOf({
  sub: 'user-1',
  username: 'admin',
  clientId: 'app',
  iss: 'https://issuer.example',
  audience: ['orders'],
  scopes: ['orders:read', 'orders:write'],
  expSec: 1_900_000_000,
  json: '{"tenant":{"ids":[1,null,"x",true]},"empty":[],"reason":"forged","huge":1e999}',
})

function allowed(cache: CacheResult, maxAgeSeconds: number, answer = answerOf(claims)): Allowed {
  return { allow: true, reason: 'allowed', cache, answer, maxAgeSeconds, wouldDeny: undefined }
}

function denied(changes: Partial<Denied> = {}): Denied {
  return {
    allow: false,
    reason: 'insufficient_scope',
    cache: 'hit',
    scope: 'a b',
    retryAfterSeconds: 0,
    isOutage: false,
    detail: 'never sent',
    ...changes,
  }
}

const metadataOf = (bytes: Buffer): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(decodeReply(bytes).dynamic_metadata.fields).map(([name, value]) => [name, plain(value)]),
  )

const challengeOf = (bytes: Buffer): string | undefined =>
  decodeReply(bytes).denied_response?.headers.find(({ header }) => header.key === 'www-authenticate')?.header.value

describe('envoy/check-response', () => {
  it('sends a number that a double cannot hold as text: two users must not become one in metadata', () => {
    const encoder = createReplyEncoder(settingsOf({ metadataClaims: ['uid', 'gids', 'iat'] }))
    for (const uid of ['12345678901234567890', '12345678901234567891']) {
      const json = `{"uid":${uid},"gids":[${uid},7],"iat":1900000000}`
      for (const cache of ['hit', 'miss'] as const) {
        const sent = metadataOf(encoder.encode(allowed(cache, 1, answerOf(claimsOf({ json }))), DECISION))
        expect(sent).to.deep.include({ uid, gids: [uid, 7], iat: 1_900_000_000 })
      }
    }
  })

  it('tells Envoy everything about an allow', () => {
    const bytes = createReplyEncoder(
      settingsOf({ metadataClaims: ['tenant', 'empty', 'absent', 'huge', 'reason'] }),
    ).encode(allowed('hit', 77), DECISION)
    const reply = decodeReply(bytes)
    expect(reply.status?.code).to.equal(0)
    expect(reply.ok_response?.headers?.map(({ header }) => [header.key, header.value])).to.deep.equal([
      ['x-auth-subject', 'user-1'],
      ['x-auth-username', 'admin'],
      ['x-auth-client-id', 'app'],
      ['x-auth-scope', 'orders:read orders:write'],
    ])
    expect(metadataOf(bytes)).to.deep.equal({
      reason: 'allowed',
      decision_id: DECISION,
      cache: 'hit',
      sub: 'user-1',
      client_id: 'app',
      username: 'admin',
      scope: ['orders:read', 'orders:write'],
      iss: 'https://issuer.example',
      aud: ['orders'],
      exp: 1_900_000_000,
      max_age_seconds: 77,
      tenant: { ids: [1, null, 'x', true] },
      empty: [],
    })
  })

  it('leaves absent claims out of the metadata', () => {
    const bytes = createReplyEncoder(settingsOf()).encode(allowed('miss', 0, answerOf(claimsOf())), DECISION)
    expect(metadataOf(bytes)).to.deep.equal({
      reason: 'allowed',
      decision_id: DECISION,
      cache: 'miss',
      max_age_seconds: 0,
    })
  })

  it('C35 writes a hit as it writes a miss, but for decision_id, cache and max_age_seconds', () => {
    const encoder = createReplyEncoder(settingsOf({ metadataClaims: ['tenant'] }))
    const answer = answerOf(claims)
    const miss = encoder.encode(allowed('miss', 300, answer), DECISION)
    for (const [seconds, id] of [
      [299, 'abcdef01-000000000043'],
      [1, 'abcdef01-000000000044'],
    ] as const) {
      const hit = encoder.encode(allowed('hit', seconds, answer), id)
      expect(metadataOf(hit)).to.deep.equal({
        ...metadataOf(miss),
        decision_id: id,
        cache: 'hit',
        max_age_seconds: seconds,
      })
      expect(decodeReply(hit).ok_response).to.deep.equal(decodeReply(miss).ok_response)
    }
  })

  it('hands out a fresh buffer for every reply', () => {
    const encoder = createReplyEncoder(settingsOf())
    for (const decision of [allowed('hit', 5), denied()]) {
      const first = encoder.encode(decision, DECISION)
      const before = Buffer.from(first)
      encoder.encode(decision, 'ffffffff-999999999999')
      expect(first.equals(before)).to.equal(true)
      first.fill(0)
      expect(encoder.encode(decision, DECISION).equals(before)).to.equal(true)
    }
  })

  it('does not use the reply that another encoder left in the answer', () => {
    const answer = answerOf(claims)
    const before = createReplyEncoder(settingsOf())
    before.encode(allowed('hit', 5, answer), DECISION)
    const after = createReplyEncoder(settingsOf({ upstreamHeaders: [{ header: 'x-auth-subject', claim: 'sub' }] }))
    const reply = decodeReply(after.encode(allowed('hit', 5, answer), DECISION))
    expect(reply.ok_response?.headers).to.have.length(1)
    expect(answer.reply.copy(before)).to.equal(undefined)
    expect(answer.reply.copy(after)).not.to.equal(undefined)
  })

  it('removes every managed header on an allow without a token, and the credentials of another scheme', () => {
    const encoder = createReplyEncoder(settingsOf({ credentials: { header: 'authorization', remove: false } }))
    for (const otherScheme of [false, true]) {
      for (const reason of ['allowed_anonymous', 'allowed_preflight'] as const) {
        const bytes = encoder.encode({ allow: true, reason, cache: 'none', otherScheme }, DECISION)
        const reply = decodeReply(bytes)
        expect(reply.status?.code).to.equal(0)
        expect(reply.ok_response?.headers).to.equal(undefined)
        expect(reply.ok_response?.headers_to_remove).to.include.members([
          'x-auth-subject',
          'x_auth_subject',
          'x-auth-scope',
        ])
        expect(reply.ok_response?.headers_to_remove?.includes('authorization')).to.equal(otherScheme)
        expect(metadataOf(bytes)).to.deep.equal({ reason, decision_id: DECISION, cache: 'none' })
      }
    }
  })

  it('escapes the realm and shows where the resource metadata is', () => {
    const encoder = createReplyEncoder(
      settingsOf({
        realm: 'a "b" \\ é\r\n',
        resourceMetadata: 'https://api.example/.well-known/oauth-protected-resource',
      }),
    )
    expect(challengeOf(encoder.encode(denied(), DECISION))).to.equal(
      'Bearer realm="a \\"b\\" \\\\ ???", error="insufficient_scope", scope="a b", ' +
        'resource_metadata="https://api.example/.well-known/oauth-protected-resource"',
    )
  })

  it('shows in the challenge only words that may stand in a scope', () => {
    const encoder = createReplyEncoder(settingsOf())
    expect(challengeOf(encoder.encode(denied({ scope: 'a b"c d\\e \u00e9 f' }), DECISION))).to.match(/scope="a f"$/)
    expect(challengeOf(encoder.encode(denied({ scope: '\r\n' }), DECISION))).to.match(/error="insufficient_scope"$/)
    expect(challengeOf(encoder.encode(denied({ scope: 'x'.repeat(5000) }), DECISION))).to.match(
      /error="insufficient_scope"$/,
    )
  })

  it('fills Retry-After with at least one whole second', () => {
    const encoder = createReplyEncoder(settingsOf())
    for (const [seconds, value] of [
      [0, '1'],
      [7, '7'],
      [Number.NaN, '1'],
    ] as const) {
      const decision = denied({ reason: 'key_manager_unavailable', scope: '', retryAfterSeconds: seconds })
      const headers = decodeReply(encoder.encode(decision, DECISION)).denied_response?.headers
      expect(headers?.find(({ header }) => header.key === 'retry-after')?.header.value).to.equal(value)
    }
  })

  it('keeps on answering when there are more scopes than templates', () => {
    const encoder = createReplyEncoder(settingsOf())
    for (let number = 0; number < 1100; number += 1) encoder.encode(denied({ scope: `s${number}` }), DECISION)
    expect(challengeOf(encoder.encode(denied({ scope: 's0' }), DECISION))).to.match(/scope="s0"$/)
  })

  it('writes replies of any size, and small ones after a huge one', () => {
    const encoder = createReplyEncoder(settingsOf({ metadataClaims: ['notes', 'level'] }))
    for (const length of [0, 1, 127, 128, 4000, 4096, 16_383, 16_384, 300_000, 3]) {
      for (const note of ['a', 'é', '\u{1f600}']) {
        const notes = Array.from({ length: 3 }, () => note.repeat(length))
        // Numbers before and behind what may make the writer take another buffer.
        const json = JSON.stringify({ notes, level: 0.5 })
        const answer = answerOf(claimsOf({ sub: 'user-1', expSec: 1_790_000_000, json }))
        const bytes = encoder.encode(allowed('miss', 7, answer), DECISION)
        expect(metadataOf(bytes)).to.deep.equal({
          reason: 'allowed',
          decision_id: DECISION,
          cache: 'miss',
          sub: 'user-1',
          exp: 1_790_000_000,
          max_age_seconds: 7,
          notes,
          level: 0.5,
        })
      }
    }
  })

  it('leaves a claim out of the metadata that nests deeper than Envoy would read', () => {
    let deep: unknown = 'x'
    for (let level = 0; level < 30; level += 1) deep = { deep }
    const encoder = createReplyEncoder(settingsOf({ metadataClaims: ['deep', 'list'] }))
    const bytes = encoder.encode(
      allowed('hit', 1, answerOf(claimsOf({ json: JSON.stringify({ deep, list: [[['a']]] }) }))),
      DECISION,
    )
    expect(metadataOf(bytes)).to.include.keys('list').and.not.include.keys('deep')
  })
})
