import { expect } from 'chai'
import { describe, it } from 'mocha'
import { activeAnswer } from '../../../src/authz/introspection.ts'
import type { ActiveAnswer, Claims } from '../../../src/authz/ports.ts'
import { createActiveAnswers } from '../../../src/cache/active-answers.ts'
import { BytePool } from '../../../src/cache/byte-pool.ts'
import { contentOf } from '../../support/answers.ts'
import { claims, keyOf } from '../../support/authz.ts'

const LIFE = { activeLifeMs: 60_000, inactiveLifeMs: 0, timestampSkewMs: 0 }

const answerOf = (more: Partial<Claims> = {}): ActiveAnswer => activeAnswer(claims(more), 0, 1234.5678, LIFE)

function remembered(store: ReturnType<typeof createActiveAnswers>, token: string): ActiveAnswer {
  const answer = store.get(keyOf(token))
  if (answer === undefined) throw new Error(`${token} is not remembered`)
  return answer
}

describe('remembered active answers', () => {
  const kinds: Readonly<Record<string, Partial<Claims>>> = {
    ordinary: {},
    'without what may be absent': {
      sub: undefined,
      username: undefined,
      clientId: undefined,
      iss: undefined,
      audience: [],
      scopes: [],
      tokenType: undefined,
    },
    'empty texts are not absent ones': { sub: '', username: '', clientId: '', iss: '', tokenType: '', json: '' },
    'a user name alone': { sub: undefined, username: 'bob' },
    'all of Unicode': { sub: 'ü€𝄞', username: '𝒜lice', json: '{"name":"żółw 亀 🐢","nul":"\u0000"}' },
    'as large as an answer may be': { json: JSON.stringify({ roles: ['é'.repeat(30_000)] }) },
    'far instants': { expSec: 2 ** 53 - 1, nbfSec: -1 },
    'another kind of token': { isAccessToken: false, isBound: true },
  }
  for (const [name, more] of Object.entries(kinds)) {
    it(`give back every member: ${name}`, () => {
      const store = createActiveAnswers(10)
      const answer = answerOf(more)
      store.set(keyOf('other'), answerOf({ sub: 'mallory', username: 'mallory', json: '{"sub":"mallory"}' }))
      store.set(keyOf('token'), answer)
      expect(contentOf(store.get(keyOf('token')))).to.deep.equal(contentOf(answer))
    })
  }

  it('do not remember a text that UTF-8 would not give back, nor what it would have replaced', () => {
    const store = createActiveAnswers(10)
    for (const more of [
      { sub: '\ud834' },
      { username: '\udd1e' },
      { json: '\ud834' },
      { sub: '\ud834', username: '\udd1e' },
    ]) {
      store.set(keyOf('token'), answerOf())
      store.set(keyOf('token'), answerOf(more))
      expect(store.get(keyOf('token'))).to.equal(undefined)
    }
  })

  it('keep the reply of whoever kept one last, and hand out copies', () => {
    const store = createActiveAnswers(10)
    store.set(keyOf('token'), answerOf())
    const [before, after] = [{}, {}]
    const reply = Buffer.from('reply')
    expect(remembered(store, 'token').reply.copy(before)).to.equal(undefined)
    remembered(store, 'token').reply.keep(before, reply)
    reply.fill(0)
    remembered(store, 'token').reply.copy(before)?.fill(0)
    expect(remembered(store, 'token').reply.copy(before)?.toString()).to.equal('reply')
    expect(remembered(store, 'token').reply.copy(after)).to.equal(undefined)
    remembered(store, 'token').reply.keep(after, Buffer.from('another, and longer'.repeat(20)))
    expect(remembered(store, 'token').reply.copy(after)?.toString()).to.equal('another, and longer'.repeat(20))
    expect(remembered(store, 'token').reply.copy(before)).to.equal(undefined)
    store.set(keyOf('token'), answerOf())
    expect(remembered(store, 'token').reply.copy(after)).to.equal(undefined)
  })

  it('are not those of the token that has the place now', () => {
    const goings: Readonly<Record<string, (store: ReturnType<typeof createActiveAnswers>) => void>> = {
      evicted: () => undefined,
      deleted: (store) => void store.delete(keyOf('alice')),
      cleared: (store) => store.clear(),
      replaced: (store) => store.set(keyOf('alice'), answerOf({ sub: 'alice again' })),
    }
    const owner = {}
    for (const [how, leave] of Object.entries(goings)) {
      for (const mallory of [{ sub: 'mallory' }, { sub: undefined, username: undefined }]) {
        const store = createActiveAnswers(1)
        store.set(keyOf('alice'), answerOf({ sub: 'alice', json: '{"sub":"alice"}' }))
        const alice = remembered(store, 'alice')
        alice.reply.keep(owner, Buffer.from('for alice'))
        leave(store)
        store.set(keyOf('mallory'), answerOf({ json: '{"sub":"mallory"}', ...mallory }))
        for (const name of ['sub', 'username', 'json'] as const) {
          expect(() => alice.claims[name], how).to.throw('no longer remembered')
        }
        expect(alice.reply.copy(owner), how).to.equal(undefined)
        alice.reply.keep(owner, Buffer.from('for alice'))
        expect(remembered(store, 'mallory').reply.copy(owner), how).to.equal(undefined)
        expect(alice.claims.scopes, how).to.deep.equal(['a', 'b'])
      }
    }
  })

  it('stay within their budget, the least recently used goes first', () => {
    const store = createActiveAnswers(3)
    for (const token of ['a', 'b', 'c']) store.set(keyOf(token), answerOf({ sub: token }))
    store.get(keyOf('a'))
    store.set(keyOf('b'), answerOf({ sub: 'b again' }))
    for (const token of ['d', 'e']) store.set(keyOf(token), answerOf({ sub: token }))
    expect(store.size()).to.equal(3)
    const left = ['a', 'b', 'c', 'd', 'e'].map((token) => store.get(keyOf(token))?.claims.sub)
    expect(left).to.deep.equal([undefined, 'b again', undefined, 'd', 'e'])
  })

  it('give all their bytes back: nothing is left of answers that were replaced, evicted or deleted', () => {
    const pool = new BytePool()
    const store = createActiveAnswers(100, pool)
    const owners = [{}, {}]
    const round = (): void => {
      for (let i = 0; i < 20_000; i++) {
        const key = keyOf(`token${i % 300}`)
        store.set(key, answerOf({ json: 'x'.repeat(i % 700) }))
        for (const owner of owners) store.get(key)?.reply.keep(owner, Buffer.alloc(i % 900))
        if (i % 10 === 0) store.delete(key)
      }
    }
    round()
    const before = pool.reservedBytes
    // One entry in a hundred not given back would take a chunk more.
    for (let times = 0; times < 20; times++) round()
    expect(pool.reservedBytes).to.equal(before)
  })
})
