import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import type { ClientMethod } from '../../../src/config/config.ts'
import { Secret } from '../../../src/config/secret.ts'
import { createGrants } from '../../../src/keymanager/grants.ts'
import { defaultTls } from '../../../src/net/tls.ts'
import { createFakeClock } from '../../support/clock.ts'
import { type ScriptedKeyManager, startKeyManager } from '../../support/key-manager.ts'

const GRANTED = { access_token: 'own', token_type: 'Bearer', expires_in: 60 }
const client = (secret: string): ClientMethod => ({
  kind: 'basic',
  username: 'gateway',
  password: new Secret(secret),
  encoding: 'form',
  method: 'post',
})

describe('two secrets of one client, while one is being rotated', () => {
  let server: ScriptedKeyManager
  beforeEach(async () => {
    server = await startKeyManager()
  })
  afterEach(() => server.close())

  const grantsOf = () =>
    createGrants(
      {
        grant: 'client_credentials',
        endpoint: {
          url: `http://127.0.0.1:${server.port}/token`,
          clients: [client('old'), client('new')],
          scope: '',
          resource: [],
          audience: undefined,
        },
      },
      { clock: createFakeClock(), tls: defaultTls, proxy: undefined, discovered: async () => undefined },
    ).first
  const secretsSeen = () => server.requests.map(({ form }) => form.get('client_secret'))

  for (const [status, error] of [
    [401, 'invalid_client'],
    [400, 'invalid_client'],
    [401, 'unauthorized_client'],
  ] as const) {
    it(`asks with the second after ${status} ${error}, and begins with it from then on`, async () => {
      server.answer(({ form }) =>
        form.get('client_secret') === 'new' ? { body: GRANTED } : { status, body: { error } },
      )
      const first = grantsOf()
      expect(await first?.ask()).to.include({ kind: 'granted' })
      expect(await first?.ask()).to.include({ kind: 'granted' })
      expect(secretsSeen()).to.deep.equal(['old', 'new', 'new'])
    })
  }

  it('asks once where the client is known and may not use the grant', async () => {
    server.answer({ status: 400, body: { error: 'unauthorized_client' } })
    expect(await grantsOf()?.ask()).to.include({ kind: 'refused', error: 'unauthorized_client' })
    expect(secretsSeen()).to.deep.equal(['old'])
  })
})
