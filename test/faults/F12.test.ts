import dns from 'node:dns'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { systemClock } from '../../src/clock.ts'
import { basicConfig, startTestApp, type TestApp } from '../support/app.ts'
import { type CheckClient, connectChecks, httpCheck } from '../support/check-client.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'
import { inSeconds, seenIn } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

const systemLookup = dns.lookup

/** What the system's resolver says, but for `idp.test`. */
function resolver(address: () => string): typeof dns.lookup {
  const lookup = (host: string, options: dns.LookupOptions, done: (...found: unknown[]) => void): void => {
    if (host !== 'idp.test') systemLookup(host, options, done)
    else if (options.all === true) done(null, [{ address: address(), family: 4 }])
    else done(null, address(), 4)
  }
  return Object.assign(lookup, systemLookup)
}

describe("F12 the key manager's address changes", () => {
  const active = { body: { active: true, exp: inSeconds(3600) } }
  let address: string
  /** How far the sidecar's clock is ahead. */
  let aheadMs: number
  let before: ScriptedKeyManager
  let after: ScriptedKeyManager
  let running: TestApp
  let client: CheckClient

  beforeEach(async () => {
    address = '127.0.0.1'
    aheadMs = 0
    dns.lookup = resolver(() => address)
    before = await startKeyManager({ host: '127.0.0.1' })
    after = await startKeyManager({ host: '127.0.0.2', port: before.port })
    before.answer(active)
    after.answer(active)
    running = await startTestApp(basicConfig(`http://idp.test:${before.port}/introspect`), {
      clock: { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + aheadMs },
      flags: { 'keyManager.startupProbe': 'false', 'keyManager.allowInsecure': 'true' },
    })
    client = connectChecks(running.app.addresses.extAuthz[0] ?? '')
  })

  afterEach(async () => {
    dns.lookup = systemLookup
    client.close()
    await running.close()
    await before.close()
    await after.close()
  })

  /** So many different tokens at once: as many connections. */
  async function askMany(name: string): Promise<void> {
    const tokens = Array.from({ length: 20 }, (_, i) => `${name}${i}`)
    const seen = await Promise.all(
      tokens.map(async (token) =>
        seenIn(await client.check(httpCheck({ headers: { authorization: `Bearer ${token}` } }))),
      ),
    )
    expect(seen.every((one) => one.allowed)).to.equal(true)
  }

  it('is resolved again once the connections are of age, though the old address still answers', async () => {
    await askMany('first')
    expect(before.connections).to.be.greaterThan(1)
    address = '127.0.0.2'
    // Young connections are kept: it is their age that ends them, nothing else.
    await askMany('young')
    expect(after.requests).to.deep.equal([])
    aheadMs = FIGURES.F12.usedWithinMs
    const asked = before.requests.length
    await askMany('aged')
    expect(before.requests).to.have.length(asked)
    expect(after.requests).to.have.length(20)
  })

  it('is resolved again at once where the old connections are gone', async () => {
    await askMany('first')
    address = '127.0.0.2'
    await before.close()
    await askMany('gone')
    expect(after.requests).to.have.length(20)
  })
})
