import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import type { Clock, Interest } from '../../../src/authz/ports.ts'
import { systemClock } from '../../../src/clock.ts'
import { Secret } from '../../../src/config/secret.ts'
import { type Exchange, type ScriptedKeyManager, startKeyManager } from '../../support/key-manager.ts'
import { basic, named, type Observed, observe } from './support.ts'

/** The wall and timers are real, the monotonic clock can be moved on. */
function movableClock(): Clock & { move(ms: number): void } {
  let moved = 0
  return { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + moved, move: (ms) => (moved += ms) }
}

describe('introspector', () => {
  let keyManager: ScriptedKeyManager
  const opened: Observed[] = []
  const open = (...args: Parameters<typeof observe>): Observed => {
    const observed = observe(...args)
    opened.push(observed)
    return observed
  }
  beforeEach(async () => {
    keyManager = await startKeyManager()
  })
  afterEach(async () => {
    await keyManager.close()
    await Promise.all(opened.splice(0).map(({ client }) => client.close()))
  })

  describe('request', () => {
    it('C01 C03 C06 C47 is a POST with one form-encoded token, and none elsewhere', async () => {
      await open(keyManager.url).ask('abc')
      const [request] = keyManager.requests
      expect(request?.method).to.equal('POST')
      expect(request?.path).to.equal('/oauth2/introspect')
      expect(request?.body).to.equal('token=abc')
      expect(request?.headers).to.include({
        'content-type': 'application/x-www-form-urlencoded',
        accept: 'application/json',
        'accept-encoding': 'identity',
      })
      expect(request?.headers).not.to.have.any.keys('authorization', 'referer', 'cookie')
    })
    it('C02 carries a token of + / = & % and space unharmed', async () => {
      const token = 'a+b/c=&d%2B e'
      await open(keyManager.url).ask(token)
      expect(keyManager.requests[0]?.form.getAll('token')).to.deep.equal([token])
    })
    it('C05 sends token_type_hint exactly once where configured', async () => {
      await open(keyManager.url, { tokenTypeHint: 'access_token' }).ask()
      expect(keyManager.requests[0]?.form.getAll('token_type_hint')).to.deep.equal(['access_token'])
    })
    it('C43 sends Basic credentials raw', async () => {
      await open(keyManager.url, { security: basic }).ask()
      const sent = keyManager.requests[0]?.headers['authorization'] ?? ''
      expect(Buffer.from(sent.slice(6), 'base64').toString()).to.equal('admin@carbon.super:canary%secret')
    })
    it('C46 sends them in the body with method = "post", and no header', async () => {
      await open(keyManager.url, { security: { ...basic, method: 'post' } }).ask()
      expect(keyManager.requests[0]?.headers).not.to.have.property('authorization')
      expect(keyManager.requests[0]?.form.get('client_secret')).to.equal('canary%secret')
    })
    for (const status of [301, 302, 303, 307, 308]) {
      it(`C04 F08 does not follow a ${status}`, async () => {
        const elsewhere = await startKeyManager()
        keyManager.answer({ status, headers: { location: elsewhere.url } })
        const outcome = await open(keyManager.url).ask()
        await elsewhere.close()
        expect(named(outcome)).to.equal('unavailable/client_error')
        expect([keyManager.requests.length, elsewhere.requests.length]).to.deep.equal([1, 0])
      })
    }
  })

  describe('answers that break the rules', () => {
    const json = { 'content-type': 'application/json' }
    it('reads an answer that comes in one-byte chunks', async () => {
      keyManager.answer((_request, { response }) => {
        response.writeHead(200, json)
        for (const byte of Buffer.from('{"active":true,"sub":"é"}')) response.write(Buffer.from([byte]))
        response.end()
        return undefined
      })
      expect(named(await open(keyManager.url).ask())).to.equal('active')
    })
    it('F09 cuts an endless body at maxAnswerSize and drops the connection', async () => {
      let written = 0
      keyManager.answer((_request, { response }) => {
        response.writeHead(200, json)
        const more = (): void => {
          while (!response.destroyed && written < 1e9 && response.write(' '.repeat(65_536))) written += 65_536
        }
        response.on('drain', more)
        more()
        return undefined
      })
      const observed = open(keyManager.url)
      expect(named(await observed.ask())).to.equal('malformed')
      expect(written).to.be.below(50_000_000)
      expect(observed.client.status().breaker).to.equal('closed')
    })
    it('F09 refuses an encoded answer', async () => {
      keyManager.answer({ headers: { ...json, 'content-encoding': 'gzip' }, body: randomBytes(100) })
      expect(named(await open(keyManager.url).ask())).to.equal('malformed')
    })
    const stalls: [string, (exchange: Exchange) => void][] = [
      ['says nothing', () => undefined],
      ['sends headers and stalls', ({ response }) => response.writeHead(200, json).flushHeaders()],
      ['sends half a body and stalls', ({ response }) => void response.writeHead(200, json).write('{"active":')],
    ]
    for (const [name, stall] of stalls) {
      it(`F02 a key manager that ${name} is a timeout, and the socket is gone`, async () => {
        const gone = new Promise<void>((resolve) => {
          keyManager.answer((_request, exchange) => {
            exchange.socket.once('close', () => resolve())
            stall(exchange)
            return undefined
          })
        })
        expect(named(await open(keyManager.url, { timeoutMs: 60 }).ask())).to.equal('unavailable/timeout')
        await gone
        expect(keyManager.openConnections).to.equal(0)
      })
    }
    it('F02 a byte now and then does not lengthen the total time', async () => {
      let drip: NodeJS.Timeout | undefined
      keyManager.answer((_request, { response, socket }) => {
        response.writeHead(200, json)
        drip = setInterval(() => response.write(' '), 10)
        socket.once('close', () => clearInterval(drip))
        return undefined
      })
      const startedAt = performance.now()
      expect(named(await open(keyManager.url, { timeoutMs: 80 }).ask())).to.equal('unavailable/timeout')
      expect(performance.now() - startedAt).to.be.below(1_000)
    })
    it('F04 asks once more where a kept connection was closed under the request', async () => {
      const observed = open(keyManager.url)
      await observed.ask()
      keyManager.answer((_request, { socket, index }) => {
        if (index > 1) return { body: { active: true } }
        socket.resetAndDestroy()
        return undefined
      })
      expect(named(await observed.ask())).to.equal('active')
      expect(keyManager.requests).to.have.length(3)
      expect(observed.counted).to.deep.equal(['inactive', 'active'])
    })
    it('F04 asks once more after a reset mid-body, and never a third time', async () => {
      keyManager.answer((_request, { response, socket }) => {
        response.writeHead(200, json).write('{"active"', () => socket.destroy())
        return undefined
      })
      expect(named(await open(keyManager.url).ask())).to.equal('unavailable/network')
      expect(keyManager.requests).to.have.length(2)
    })
    it('a server that speaks something else is a network error', async () => {
      const server = createServer((socket) => socket.on('error', () => undefined).end('SSH-2.0-x\r\n'))
      await once(server.listen(0, '127.0.0.1'), 'listening')
      const address = server.address()
      const port = typeof address === 'object' ? address?.port : 0
      expect(named(await open(`http://127.0.0.1:${port}/introspect`).ask())).to.equal('unavailable/network')
      server.close()
    })
    it('nobody listening is a network error', async () => {
      const { url } = keyManager
      await keyManager.close()
      expect(named(await open(url).ask())).to.equal('unavailable/network')
    })
  })

  describe('queue', () => {
    /** Holds every request until told to go on. */
    const hold = () => {
      const held: (() => void)[] = []
      keyManager.answer(() => new Promise((resolve) => held.push(() => resolve({ body: { active: true } }))))
      return {
        arrived: async (count: number) => {
          while (keyManager.requests.length < count) await new Promise((resolve) => setImmediate(resolve))
        },
        release: () => {
          for (const go of held.splice(0)) go()
        },
      }
    }
    it('F21 never has more than maxInFlight under way, the rest waits in order, then it is overloaded', async () => {
      const { arrived, release } = hold()
      const observed = open(keyManager.url, { maxInFlight: 2, maxWaiting: 3 })
      const asked = Array.from({ length: 6 }, (_, index) => observed.ask(`t${index}`))
      await arrived(2)
      expect(named((await asked[5]) ?? { kind: 'abandoned' })).to.equal('overloaded')
      expect(observed.client.status()).to.include({ inFlight: 2, waiting: 3 })
      release()
      await arrived(4)
      release()
      await arrived(5)
      release()
      const outcomes = (await Promise.all(asked)).map(named)
      expect(outcomes).to.deep.equal(['active', 'active', 'active', 'active', 'active', 'overloaded'])
      expect(keyManager.mostInFlight).to.equal(2)
      expect(keyManager.requests.slice(2, 4).map(({ form }) => form.get('token'))).to.have.members(['t2', 't3'])
      expect(observed.counted).to.deep.equal(['rejected', 'active', 'active', 'active', 'active', 'active'])
    })
    it('P10 drops a queued call nobody waits for, at once; one sent goes on', async () => {
      const { arrived, release } = hold()
      const observed = open(keyManager.url, { maxInFlight: 1 })
      const first: Interest = { wanted: true, whenLost: undefined }
      const second: Interest = { wanted: true, whenLost: undefined }
      const sent = observed.ask('sent', first)
      const queued = observed.ask('queued', second)
      await arrived(1)
      first.whenLost?.()
      second.whenLost?.()
      expect(named(await queued)).to.equal('abandoned')
      expect(observed.client.status().waiting).to.equal(0)
      release()
      expect(named(await sent)).to.equal('active')
      expect(keyManager.requests).to.have.length(1)
      expect(observed.counted).to.deep.equal(['active'])
    })
  })

  describe('breaker', () => {
    it('F05 opens after five failures in a row, lets one probe a period through, closes on a good answer', async () => {
      const clock = movableClock()
      const observed = open(keyManager.url, {}, clock)
      keyManager.answer({ status: 500 })
      for (let i = 0; i < 5; i++) await observed.ask()
      const refused = await observed.ask()
      expect(named(refused)).to.equal('unavailable/rejected')
      expect(refused.kind === 'unavailable' && refused.retryAfterMs).to.be.within(1, 1_000)
      clock.move(1_001)
      expect((await Promise.all([observed.ask(), observed.ask()])).map(named)).to.deep.equal([
        'unavailable/server_error',
        'unavailable/rejected',
      ])
      expect(keyManager.requests).to.have.length(6)
      clock.move(1_001)
      keyManager.answer(undefined)
      expect(named(await observed.ask())).to.equal('inactive')
      expect(observed.breakerStates).to.deep.equal(['closed', 'open', 'half_open', 'open', 'half_open', 'closed'])
    })
    for (const [status, security] of [
      [401, { kind: 'none' }],
      [403, basic],
    ] as const) {
      it(`C21 ${status} with ${security.kind} is unauthorized, and counts`, async () => {
        const observed = open(keyManager.url, { security })
        keyManager.answer({ status })
        for (let i = 0; i < 5; i++) expect(named(await observed.ask())).to.equal('unavailable/unauthorized')
        expect(observed.client.status().breaker).to.equal('open')
      })
    }
    it('F41 odd tokens never open it: 400, garbage, redirects', async () => {
      const observed = open(keyManager.url)
      for (const answer of [{ status: 400 }, { body: 'garbage' }, { status: 302 }, { status: 204 }]) {
        keyManager.answer(answer)
        for (let i = 0; i < 10; i++) await observed.ask()
      }
      expect(observed.client.status().breaker).to.equal('closed')
      expect(keyManager.requests).to.have.length(40)
    })
    it('F41 an odd token as the probe neither leaves it stuck nor keeps it shut', async () => {
      const clock = movableClock()
      const observed = open(keyManager.url, {}, clock)
      keyManager.answer({ status: 500 })
      for (let i = 0; i < 5; i++) await observed.ask()
      clock.move(1_001)
      keyManager.answer({ status: 400 })
      await observed.ask()
      keyManager.answer({ body: { active: true } })
      expect(named(await observed.ask())).to.equal('active')
    })
  })

  describe('429', () => {
    const rows: [string, string | undefined, number][] = [
      ['seconds', '3', 3_000],
      ['ten years', '315360000', 10_000],
      ['garbage', 'soon', 1_000],
      ['nothing', undefined, 1_000],
    ]
    for (const [name, value, heldMs] of rows) {
      it(`F06 Retry-After of ${name} holds calls back for ${heldMs} ms`, async () => {
        const clock = movableClock()
        const observed = open(keyManager.url, {}, clock)
        keyManager.answer({ status: 429, headers: value === undefined ? {} : { 'retry-after': value } })
        const throttled = await observed.ask()
        expect(throttled).to.include({ cause: 'throttled', retryAfterMs: heldMs })
        keyManager.answer(undefined)
        clock.move(heldMs - 500)
        const refused = await observed.ask()
        expect(named(refused)).to.equal('unavailable/rejected')
        expect(refused.kind === 'unavailable' && refused.retryAfterMs).to.be.within(1, 500)
        expect(keyManager.requests).to.have.length(1)
        clock.move(501)
        expect(named(await observed.ask())).to.equal('inactive')
        expect(observed.client.status().breaker).to.equal('closed')
      })
    }
  })

  describe('probe', () => {
    it('is ok where a random token is inactive, and counts nowhere', async () => {
      const observed = open(keyManager.url)
      expect(await observed.client.probe()).to.include({ ok: true, outcome: 'inactive', advice: undefined })
      await observed.client.probe()
      expect(observed.counted).to.deep.equal([])
      expect(keyManager.requests[0]?.form.get('token')).to.match(/^[\w-]{43}$/)
      expect(keyManager.requests[0]?.body).not.to.equal(keyManager.requests[1]?.body)
    })
    for (const status of [401, 403, 400]) {
      it(`${status} with a secret the encodings spell differently names the switch`, async () => {
        keyManager.answer({ status })
        const { advice } = await open(keyManager.url, { security: basic }).client.probe()
        expect(advice).to.contain('encoding = "form"').and.not.to.contain('canary')
      })
    }
    it('401 with a plain secret only says to check it', async () => {
      keyManager.answer({ status: 401 })
      const security = { ...basic, username: 'a', password: new Secret('b') }
      const { ok, advice } = await open(keyManager.url, { security }).client.probe()
      expect(ok).to.equal(false)
      expect(advice).to.contain('check username').and.not.to.contain('encoding')
    })
    it('leaves the breaker alone', async () => {
      keyManager.answer({ status: 500 })
      const observed = open(keyManager.url)
      for (let i = 0; i < 10; i++) await observed.client.probe()
      expect(observed.client.status().breaker).to.equal('closed')
    })
  })

  describe('log', () => {
    it('says once a second and cause what went wrong, and F32 never a token or secret', async () => {
      const clock = movableClock()
      const observed = open(keyManager.url, { security: basic }, clock)
      keyManager.answer({ status: 404, body: 'canary' })
      for (let i = 0; i < 5; i++) await observed.ask()
      clock.move(1_001)
      await observed.ask()
      expect(observed.logged).to.have.length(2)
      expect(observed.logged[1]).to.contain('"suppressed":4')
      await keyManager.close()
      await observed.ask()
      expect(observed.logged.join()).not.to.contain('canary')
      expect(observed.client.status().lastError).to.be.a('string').and.not.to.contain('canary')
    })
    it('says when a call last succeeded and failed, and how long it took; the probe is none', async () => {
      const observed = open(keyManager.url, { breaker: { failures: 2, openForMs: 60_000 } })
      await observed.client.probe()
      expect(observed.client.status()).to.include({ lastSuccess: undefined, lastFailure: undefined })
      keyManager.answer({ body: { active: false } })
      await observed.ask()
      const { lastSuccess } = observed.client.status()
      expect(Date.now() - Date.parse(lastSuccess?.at ?? '')).to.be.within(0, 5_000)
      expect(lastSuccess?.tookMs).to.be.within(0, 5_000)
      keyManager.answer({ status: 500 })
      await observed.ask()
      expect(observed.client.status().lastFailure).to.include({ cause: 'server_error' })
      expect(observed.client.status().pausedForMs).to.equal(undefined)
      await observed.ask()
      expect(observed.client.status()).to.deep.include({ breaker: 'open', lastSuccess })
      expect(observed.client.status().pausedForMs).to.be.within(1, 60_000)
    })
    it('says for how long a 429 is honoured', async () => {
      const observed = open(keyManager.url)
      keyManager.answer({ status: 429, headers: { 'retry-after': '7' } })
      await observed.ask()
      expect(observed.client.status()).to.include({ breaker: 'closed' })
      expect(observed.client.status().pausedForMs).to.be.within(1, 7_000)
    })
    it('warns once of an exp in milliseconds', async () => {
      const observed = open(keyManager.url)
      keyManager.answer({ body: { active: true, exp: 1_795_483_946_000 } })
      await observed.ask()
      await observed.ask()
      expect(observed.logged.filter((line) => line.includes('exp_in_far_future'))).to.have.length(1)
    })
  })
})
