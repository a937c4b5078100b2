/**
 * The memory of answers beside a model of it: plain Maps, kept in the order of use. Whatever the memory hands out is
 * compared with what the model holds, member by member and byte by byte.
 */
import { expect } from 'chai'
import { activeAnswer, inactiveAnswer } from '../../../src/authz/introspection.ts'
import type { ActiveAnswer, Answer, AnswerCache, Claims } from '../../../src/authz/ports.ts'
import { createAnswerCache, createAnswerMemory } from '../../../src/cache/answer-cache.ts'
import { contentOf } from '../../support/answers.ts'
import { createFakeClock } from '../../support/clock.ts'

export interface Life {
  /** Whole ms; 0: not remembered. */
  readonly lifeMs: number
  /** Whole seconds from now; undefined: never expires. */
  readonly expInSec: number | undefined
}

/** What the model holds of one token; another answer of the same token is another object. */
interface Held {
  readonly answer: Answer
  reply: { readonly keeper: number; readonly bytes: Buffer } | undefined
}

/** What a Check may still hold of an answer that went meanwhile. */
interface Seen {
  readonly held: Held
  readonly answer: ActiveAnswer
}

const SEEN_AT_MOST = 8

export class World {
  readonly #capacity: number
  readonly #clock = createFakeClock()
  readonly #memory: ReturnType<typeof createAnswerMemory>
  readonly #active = new Map<string, Held>()
  readonly #inactive = new Map<string, Held>()
  readonly #seen: Seen[] = []
  readonly #owners = [{}, {}] as const
  #cache: AnswerCache
  /** Whose replies are found: the last that kept one. Counted, since the other's of before stay lost. */
  #keeper: { readonly owner: object; readonly number: number } = { owner: {}, number: 0 }

  constructor(capacity: number) {
    this.#capacity = capacity
    this.#memory = createAnswerMemory({ capacity, inactiveCapacity: capacity })
    this.#cache = this.#createCache()
  }

  async rememberActive(key: string, claims: Claims, { lifeMs, expInSec }: Life): Promise<void> {
    const expSec = expInSec === undefined ? undefined : Math.floor(this.#clock.wallMs() / 1000) + expInSec
    const settings = { activeLifeMs: lifeMs, inactiveLifeMs: 0, timestampSkewMs: 0 }
    const wallMs = this.#clock.wallMs()
    await this.#remember(key, activeAnswer({ ...claims, expSec }, wallMs, this.#clock.monotonicMs(), settings))
  }

  async rememberInactive(key: string, lifeMs: number): Promise<void> {
    const settings = { activeLifeMs: 0, inactiveLifeMs: lifeMs, timestampSkewMs: 0 }
    await this.#remember(key, inactiveAnswer(this.#clock.monotonicMs(), settings))
  }

  /** As a Check does: look, and where there is an active answer use the kept reply or keep one. */
  check(key: string, owner: 0 | 1, reply: Buffer): void {
    const expected = this.#read(this.#active, key) ?? this.#read(this.#inactive, key)
    const answer = this.#cache.peek(key)
    expect(contentOf(answer)).to.deep.equal(contentOf(expected?.answer))
    if (expected === undefined || answer === undefined || !answer.active) return
    this.#useReply({ held: expected, answer }, this.#owners[owner], reply)
    this.#seen.push({ held: expected, answer })
    if (this.#seen.length > SEEN_AT_MOST) this.#seen.shift()
  }

  /** Reads what earlier Checks held on to: right, or not at all. */
  lookBack(owner: 0 | 1, reply: Buffer): void {
    for (const seen of this.#seen) {
      if ([...this.#active.values()].includes(seen.held)) {
        expect(contentOf(seen.answer)).to.deep.equal(contentOf(seen.held.answer))
        this.#useReply(seen, this.#owners[owner], reply)
      } else {
        for (const name of ['sub', 'username', 'json'] as const) {
          expect(() => seen.answer.claims[name]).to.throw('no longer remembered')
        }
        expect(seen.answer.reply.copy(this.#owners[owner])).to.equal(undefined)
        seen.answer.reply.keep(this.#owners[owner], reply)
      }
    }
  }

  advance(ms: number): void {
    this.#clock.advance(ms)
  }

  /** The wall clock alone, as NTP would. */
  shiftWall(ms: number): void {
    this.#clock.setWall(this.#clock.wallMs() + ms)
  }

  /** Another graph over the same memory. */
  reload(): void {
    this.#cache = this.#createCache()
  }

  clear(): void {
    this.#memory.active.clear()
    this.#memory.inactive.clear()
    this.#active.clear()
    this.#inactive.clear()
  }

  expectSizes(): void {
    expect(this.#memory.active.size()).to.equal(this.#active.size)
    expect(this.#memory.inactive.size()).to.equal(this.#inactive.size)
    expect(Math.max(this.#active.size, this.#inactive.size)).to.be.at.most(this.#capacity)
  }

  /** Everything that is there, and that nothing else is. */
  expectAll(keys: readonly string[]): void {
    this.expectSizes()
    for (const key of keys) {
      expect(contentOf(this.#memory.active.get(key))).to.deep.equal(contentOf(this.#active.get(key)?.answer))
      expect(contentOf(this.#memory.inactive.get(key))).to.deep.equal(contentOf(this.#inactive.get(key)?.answer))
      const held = this.#active.get(key)
      const reply = this.#memory.active.get(key)?.reply.copy(this.#keeper.owner)
      const expected = held?.reply?.keeper === this.#keeper.number ? held.reply.bytes : undefined
      expect(reply).to.deep.equal(expected)
    }
  }

  #createCache(): AnswerCache {
    return createAnswerCache(this.#memory, {
      clock: this.#clock,
      metrics: { cacheOperation() {}, waiterJoined() {} },
    })
  }

  async #remember(key: string, answer: Answer): Promise<void> {
    this.#cache.remember(key, answer)
    // Keyv writes within some microtasks.
    for (let turn = 0; turn < 10; turn++) await undefined
    this.#active.delete(key)
    this.#inactive.delete(key)
    if (answer.lifeMs < 1) return
    const map = answer.active ? this.#active : this.#inactive
    const [oldest] = map.keys()
    if (map.size >= this.#capacity && oldest !== undefined) map.delete(oldest)
    map.set(key, { answer, reply: undefined })
  }

  #read(map: Map<string, Held>, key: string): Held | undefined {
    const held = map.get(key)
    if (held === undefined) return undefined
    map.delete(key)
    const { answer } = held
    if (this.#clock.monotonicMs() - answer.storedAtMs >= answer.lifeMs) return undefined
    const expSec = answer.active ? answer.claims.expSec : undefined
    if (expSec !== undefined && expSec * 1000 <= this.#clock.wallMs()) return undefined
    map.set(key, held)
    return held
  }

  #useReply({ held, answer }: Seen, owner: object, reply: Buffer): void {
    const kept = held.reply
    const found = owner === this.#keeper.owner && kept?.keeper === this.#keeper.number ? kept.bytes : undefined
    expect(answer.reply.copy(owner)).to.deep.equal(found)
    if (found !== undefined) return
    answer.reply.keep(owner, reply)
    if (owner !== this.#keeper.owner) this.#keeper = { owner, number: this.#keeper.number + 1 }
    held.reply = { keeper: this.#keeper.number, bytes: reply }
    expect(answer.reply.copy(owner)).to.deep.equal(reply)
  }
}
