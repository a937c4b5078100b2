/** The numbered rules of ext_authz that the wire alone can keep, decoder and encoder against the loader's codec. */
import { expect } from 'chai'
import { describe, it } from 'mocha'
import type { DenyReason } from '../../src/authz/ports.ts'
import { createCheckDecoder } from '../../src/envoy/check-request.ts'
import { createReplyEncoder } from '../../src/envoy/check-response.ts'
import {
  answerOf,
  claimsOf,
  DECISION,
  DENY_REASONS,
  decodeReply,
  encodeObject,
  encodeRequest,
  metadata,
  REFUSALS,
  type ReadReply,
  settingsOf,
} from '../unit/envoy/samples.ts'

const CANARY = 'canary-token-4711'
const decode = createCheckDecoder({ credentialsHeader: 'authorization' })
const encoder = createReplyEncoder(settingsOf())
const anonymous = { allow: true, reason: 'allowed_anonymous', cache: 'none', otherScheme: false } as const

function deny(reason: DenyReason, from = encoder, isOutage = true): ReadReply {
  const scope = reason === 'insufficient_scope' ? 'orders:read orders:write' : ''
  return decodeReply(
    from.encode(
      { allow: false, reason, cache: 'none', scope, retryAfterSeconds: 1, isOutage, detail: CANARY },
      DECISION,
    ),
  )
}

function allow(members: Readonly<Record<string, unknown>> = {}, from = encoder): ReadReply {
  const answer = answerOf(claimsOf({ sub: 'user-1', scopes: ['a', 'b'], json: JSON.stringify(members) }))
  const decision = {
    allow: true,
    reason: 'allowed',
    cache: 'hit',
    answer,
    maxAgeSeconds: 9,
    wouldDeny: undefined,
  } as const
  return decodeReply(from.encode(decision, DECISION))
}

describe('ext_authz on the wire', () => {
  for (const reason of DENY_REASONS) {
    const row = REFUSALS[reason]
    it(`E01 E11 denies ${reason} with ${row.http}, status ${row.status} and fault ${row.fault}`, () => {
      const reply = deny(reason)
      expect(reply.status?.code).to.equal(row.status)
      expect(reply.ok_response).to.equal(undefined)
      const refusal = reply.denied_response
      // The loader knows Envoy's enum: a status outside it would be read as a number.
      expect(refusal?.status.code).to.equal(row.name)
      const headers = Object.fromEntries((refusal?.headers ?? []).map(({ header }) => [header.key, header.value]))
      expect(headers).to.deep.equal({
        'content-type': 'application/json',
        'cache-control': 'no-store',
        'x-authz-decision-id': DECISION,
        ...(row.challenge === undefined ? {} : { 'www-authenticate': `Bearer realm="API"${row.challenge}` }),
        ...(row.http === 503 ? { 'retry-after': '1' } : {}),
      })
      const { fault } = JSON.parse(refusal?.body ?? '') as { fault: Record<string, unknown> }
      expect(fault).to.have.all.keys('code', 'message', 'description')
      expect(fault).to.include({ code: row.fault })
    })
  }

  it("says WSO2's words in the body", () => {
    const body = (reason: DenyReason) => deny(reason).denied_response?.body
    expect(body('inactive_token')).to.equal(
      '{"fault":{"code":900901,"message":"Invalid Credentials",' +
        '"description":"Invalid Credentials. Make sure you have given the correct access token"}}',
    )
    expect(body('wrong_client')).to.equal(
      '{"fault":{"code":900908,"message":"Resource forbidden ",' +
        '"description":"Resource forbidden . Unclassified Authentication Failure"}}',
    )
    const short = 'The access token does not allow you to access the requested resource'
    expect(body('insufficient_scope')).to.equal(
      `{"fault":{"code":900910,"message":"${short}","description":"${short}"}}`,
    )
  })

  it('E01 says status.code on the wire even where it is 0', () => {
    const bytes = encoder.encode(anonymous, DECISION)
    expect([...bytes.subarray(0, 4)]).to.deep.equal([0x0a, 0x02, 0x08, 0x00])
    expect(decodeReply(bytes).status).to.deep.equal({ code: 0 })
  })

  it('E04 sets headers with append false and OVERWRITE_IF_EXISTS_OR_ADD, both', () => {
    const headers = allow().ok_response?.headers ?? []
    expect(headers).to.have.length(2)
    for (const option of headers) {
      expect(option).to.deep.include({ append: { value: false }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' })
    }
  })

  it('E05 removes unset managed headers and every underscore spelling, on every allow', () => {
    for (const reply of [allow(), decodeReply(encoder.encode(anonymous, DECISION))]) {
      const set = (reply.ok_response?.headers ?? []).map(({ header }) => header.key)
      const removed = reply.ok_response?.headers_to_remove ?? []
      for (const name of settingsOf().managedHeaders) {
        expect(removed.includes(name)).to.equal(!set.includes(name))
        expect(removed).to.include(name.replaceAll('-', '_'))
      }
      expect(removed.filter((name) => name.startsWith(':') || name === 'host')).to.deep.equal([])
    }
  })

  it('E06 puts values into value alone: printable, never empty, at most 8 KiB', () => {
    const from = createReplyEncoder(
      settingsOf({
        upstreamHeaders: ['nasty', 'empty', 'long'].map((claim) => ({ header: `x-${claim}`, claim })),
        managedHeaders: ['x-nasty', 'x-empty', 'x-long'],
      }),
    )
    const reply = allow({ nasty: 'a\r\nx: y\0é', empty: '', long: 'x'.repeat(32_768) }, from)
    expect(reply.ok_response?.headers?.map(({ header }) => header)).to.deep.equal([
      { key: 'x-nasty', value: 'a%0D%0Ax: y%00%C3%A9' },
    ])
    expect(reply.ok_response?.headers_to_remove).to.include.members(['x-empty', 'x-long'])
  })

  it('E07 reads merged and raw headers, and shows two credentials in both', () => {
    const merged = decode(encodeRequest({ headers: { authorization: 'Bearer a,Bearer b' } }))
    expect(merged.credentials).to.equal('Bearer a,Bearer b')
    const raw = decode(
      encodeRequest({
        rawHeaders: [
          ['authorization', Buffer.from('Bearer a')],
          ['authorization', Buffer.from('Bearer b')],
        ],
      }),
    )
    expect(raw.credentialsCount).to.equal(2)
  })

  it('E09 never appends on a deny', () => {
    for (const reason of DENY_REASONS) {
      for (const { append } of deny(reason).denied_response?.headers ?? []) expect(append?.value).to.equal(false)
    }
  })

  it('E10 keeps deny bodies short ASCII without CR or LF', () => {
    for (const reason of DENY_REASONS) {
      const body = deny(reason).denied_response?.body ?? ''
      expect(body).to.match(/^[\x20-\x7e]{1,250}$/)
    }
  })

  it('E12 takes a TCP request, a CONNECT without a path and filtered headers without an exception', () => {
    expect(decode(encodeObject({ attributes: { source: { principal: 'p' } } })).form).to.equal('not_http')
    const connect = decode(encodeRequest({ method: 'CONNECT', path: '', host: 'a:443' }))
    expect(connect).to.include({
      form: 'http',
      method: 'CONNECT',
      path: '',
      credentials: undefined,
      credentialsCount: 0,
    })
  })

  it('E13 sends error_response only when configured, and only for an outage', () => {
    const opened = createReplyEncoder(settingsOf({ unavailable: 'error' }))
    for (const reason of DENY_REASONS) {
      expect(deny(reason).error_response).to.equal(undefined)
      const reply = deny(reason, opened)
      expect(reply.denied_response).to.equal(undefined)
      expect(reply.error_response?.status.code).to.equal(deny(reason).denied_response?.status.code)
      expect(reply.status?.code).to.equal(REFUSALS[reason].status)
      // The same reason without an outage, asked of the same encoder: nothing of the one before is kept for it.
      const refused = deny(reason, opened, false)
      expect(refused.error_response).to.equal(undefined)
      expect(refused.denied_response).to.deep.equal(deny(reason).denied_response)
    }
  })

  it('E14 sends a valid Struct on allow and deny, with no token and no detail in it', () => {
    for (const reply of [allow({ access_token: CANARY }), ...DENY_REASONS.map((reason) => deny(reason))]) {
      expect(metadata(reply, 'decision_id')).to.equal(DECISION)
      expect(reply.dynamic_metadata.fields).to.include.keys('reason', 'cache')
      expect(JSON.stringify(reply)).not.to.include(CANARY)
    }
  })
})
