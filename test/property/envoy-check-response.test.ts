import { expect } from 'chai'
import fc from 'fast-check'
import { describe, it } from 'mocha'
import { createReplyEncoder } from '../../src/envoy/check-response.ts'
import {
  answerOf,
  claimsOf,
  DECISION,
  DEFAULT_HEADERS,
  DENY_REASONS,
  decodeReply,
  metadata,
  settingsOf,
} from '../unit/envoy/samples.ts'

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string(),
  fc.constantFrom(' ', '\r\n', '\ud800', ''),
)
const present = fc.option(anyText, { nil: undefined })
const json = fc.jsonValue({ maxDepth: 4, stringUnit: 'grapheme' })
const claims = fc
  .record({
    sub: present,
    username: present,
    clientId: present,
    iss: present,
    audience: fc.array(anyText, { maxLength: 3 }),
    scopes: fc.array(anyText, { maxLength: 5 }),
    expSec: fc.option(fc.nat(), { nil: undefined }),
    json: fc
      .dictionary(fc.constantFrom('tenant', 'roles', '__proto__', 'constructor'), json)
      .map((members) => JSON.stringify(members)),
  })
  .map(claimsOf)

const settings = settingsOf({
  upstreamHeaders: [
    ...DEFAULT_HEADERS,
    { header: 'x-tenant', claim: 'tenant' },
    { header: 'x-roles', claim: 'roles' },
    { header: 'x-proto', claim: '__proto__' },
  ],
  managedHeaders: [...DEFAULT_HEADERS.map(({ header }) => header), 'x-tenant', 'x-roles', 'x-proto', 'x-off'],
  metadataClaims: ['tenant', 'roles', '__proto__'],
})

/** Every name that CGI's `HTTP_X_Y` stands for, by counting in twos. */
function foldedAlike(name: string): readonly string[] {
  const dashes = name.split('-').length - 1
  return Array.from({ length: 2 ** dashes }, (_, mask) => {
    let dash = 0
    return name.replaceAll('-', () => ((mask >> dash++) & 1 ? '_' : '-'))
  })
}

describe('envoy/check-response, by chance', () => {
  it('E05 F29 sets or removes every managed header, in 0x20-0x7E, for any claims', () => {
    const encoder = createReplyEncoder(settings)
    fc.assert(
      fc.property(claims, fc.constantFrom('hit', 'miss', 'shared_hit', 'stale'), fc.nat(), (some, cache, age) => {
        const decision = { allow: true, reason: 'allowed', cache, answer: answerOf(some), maxAgeSeconds: age } as const
        const reply = decodeReply(encoder.encode({ ...decision, wouldDeny: undefined }, DECISION))
        expect(reply.status?.code).to.equal(0)
        const set = (reply.ok_response?.headers ?? []).map(({ header }) => header.key)
        const removed = reply.ok_response?.headers_to_remove ?? []
        for (const { header, append, append_action } of reply.ok_response?.headers ?? []) {
          expect(header.value).to.match(/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/)
          expect(append?.value).to.equal(false)
          expect(append_action).to.equal('OVERWRITE_IF_EXISTS_OR_ADD')
        }
        const both = [...set, ...removed]
        expect(both).to.have.length(new Set(both).size)
        expect(both).to.include.members(settings.managedHeaders.flatMap(foldedAlike))
        expect(metadata(reply, 'max_age_seconds')).to.equal(age)
        expect(metadata(reply, 'cache')).to.equal(cache)
        expect(metadata(reply, 'sub')).to.equal(some.sub?.toWellFormed())
        expect(metadata(reply, 'decision_id')).to.equal(DECISION)
      }),
      { numRuns: 500 },
    )
  })

  it('reads back any JSON claim from the metadata', () => {
    const encoder = createReplyEncoder(settings)
    fc.assert(
      fc.property(json, (tenant) => {
        const answer = answerOf(claimsOf({ json: JSON.stringify({ tenant }) }))
        const decision = { allow: true, reason: 'allowed', cache: 'hit', answer, maxAgeSeconds: 1 } as const
        const reply = decodeReply(encoder.encode({ ...decision, wouldDeny: undefined }, DECISION))
        const asText = (_: string, value: unknown) =>
          Number.isInteger(value) && !Number.isSafeInteger(value) && /^-?\d+$/.test(String(value))
            ? String(value)
            : value
        // Through JSON: -0 is not what is looked at here. Own `__proto__` members come through like any other.
        expect(JSON.stringify(metadata(reply, 'tenant'))).to.equal(JSON.stringify(tenant, asText))
      }),
      { numRuns: 500 },
    )
  })

  it('P02 denies for every reason, whatever scope, realm and time to wait', () => {
    const realm = fc.string({ unit: 'binary', maxLength: 30 })
    const unavailable = fc.constantFrom('deny', 'error')
    fc.assert(
      fc.property(
        fc.constantFrom(...DENY_REASONS),
        realm,
        unavailable,
        anyText,
        fc.integer(),
        (reason, name, how, scope, wait) => {
          const encoder = createReplyEncoder(settingsOf({ realm: name, unavailable: how }))
          const why = { reason, scope, retryAfterSeconds: wait, isOutage: wait > 0, detail: '' }
          const decision = { allow: false, cache: 'none', ...why } as const
          const reply = decodeReply(encoder.encode(decision, DECISION))
          expect(reply.status?.code).to.be.greaterThan(0)
          expect(reply.ok_response).to.equal(undefined)
          const refusal = reply.denied_response ?? reply.error_response
          for (const { header } of refusal?.headers ?? []) expect(header.value).to.match(/^[\x20-\x7e]+$/)
          expect(refusal?.body).to.match(/^[\x20-\x7e]+$/)
        },
      ),
      { numRuns: 500 },
    )
  })
})
