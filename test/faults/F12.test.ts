import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { systemClock } from '../../src/clock.ts'
import { createPostClient, type PostClient } from '../../src/net/http.ts'
import { readTlsOptions } from '../../src/net/tls.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'

describe("F12 the key manager's address changes", () => {
  let before: ScriptedKeyManager
  let after: ScriptedKeyManager
  let client: PostClient

  beforeEach(async () => {
    before = await startKeyManager({ host: '127.0.0.1' })
    after = await startKeyManager({ host: '127.0.0.2', port: before.port })
  })

  afterEach(async () => {
    await client.close()
    await before.close()
    await after.close()
  })

  const connect = (address: () => string, connectionAgeMs?: number): PostClient =>
    createPostClient({
      url: `http://idp.test:${before.port}/introspect`,
      connections: 1,
      timeoutMs: 2000,
      connectTimeoutMs: 500,
      maxAnswerSize: 65_536,
      tls: readTlsOptions({
        caFile: undefined,
        certFile: undefined,
        keyFile: undefined,
        minVersion: 'TLSv1.2',
        serverName: undefined,
        insecure: false,
      }),
      proxy: undefined,
      clock: systemClock,
      ...(connectionAgeMs === undefined ? {} : { connectionAgeMs }),
      lookup: (_, options, done) => {
        if (options.all === true) done(null, [{ address: address(), family: 4 }])
        else done(null, address(), 4)
      },
    })

  it('is resolved again at the next connection: the new address is used once the old one is gone', async () => {
    let address = '127.0.0.1'
    client = connect(() => address)
    expect((await client.post({}, 'token=a')).ok).to.equal(true)
    expect(before.requests).to.have.length(1)
    address = '127.0.0.2'
    before.dropConnections()
    expect((await client.post({}, 'token=b')).ok).to.equal(true)
    expect(after.requests).to.have.length(1)
  })

  it('is resolved again once a connection is of age, though the old address still answers', async () => {
    let address = '127.0.0.1'
    client = connect(() => address, 50)
    expect((await client.post({}, 'token=a')).ok).to.equal(true)
    address = '127.0.0.2'
    const changedAt = performance.now()
    while (after.requests.length === 0 && performance.now() - changedAt < 5000) {
      expect((await client.post({}, 'token=b')).ok).to.equal(true)
    }
    expect(after.requests.length).to.be.greaterThan(0)
  })
})
