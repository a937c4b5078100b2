import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { basicConfig, startTestApp, type TestApp } from '../support/app.ts'
import { connectChecks, httpCheck } from '../support/check-client.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'

describe('one Check through the started app', () => {
  let keyManager: ScriptedKeyManager
  let running: TestApp
  let client: ReturnType<typeof connectChecks>

  beforeEach(async () => {
    keyManager = await startKeyManager()
    running = await startTestApp(basicConfig(keyManager.url), {
      flags: { 'keyManager.startupProbe': 'false' },
    })
    client = connectChecks(running.app.addresses.extAuthz[0] ?? '')
  })

  afterEach(async () => {
    client.close()
    await running.close()
    await keyManager.close()
  })

  const ask = (authorization: string | undefined) =>
    client.check(
      httpCheck({
        method: 'GET',
        path: '/orders?id=1',
        host: 'api.example.com',
        headers: authorization === undefined ? {} : { authorization },
      }),
    )

  it('P10 allows an active token on a miss, and serves the second Check from memory', async () => {
    keyManager.tokens.set('good', {
      active: true,
      sub: 'alice',
      scope: 'a b',
      exp: Math.floor(Date.now() / 1000) + 300,
    })
    const first = await ask('Bearer good')
    const second = await ask('Bearer good')
    expect(first.status?.code ?? 0).to.equal(0)
    expect(second.status?.code ?? 0).to.equal(0)
    expect(keyManager.requests).to.have.length(1)
    expect(JSON.stringify(first)).to.contain('alice').and.contain('miss')
    expect(JSON.stringify(second)).to.contain('alice').and.contain('hit')
  })

  it('denies without credentials, and with an inactive token, which it remembers', async () => {
    const none = await ask(undefined)
    const bad = await ask('Bearer bad')
    await ask('Bearer bad')
    expect(none.status?.code).to.equal(16)
    expect(bad.status?.code).to.equal(16)
    expect(keyManager.requests).to.have.length(1)
  })

  it('P01 denies with 503 and Retry-After when the key manager is gone', async () => {
    await keyManager.close()
    const reply = await ask('Bearer anything')
    expect(reply.status?.code).to.equal(14)
    expect(JSON.stringify(reply)).to.contain('retry-after')
  })
})
