/** What real key managers answered, replayed over a real socket: the outcome is stated in `expected.json`. */
import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { after, before, describe, it } from 'mocha'
import type { Introspected } from '../../src/authz/ports.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'
import { basic, observe } from '../unit/keymanager/support.ts'

interface Recorded {
  readonly case: string
  readonly request: { readonly path: string; readonly headers: Record<string, string>; readonly body: string | null }
  readonly response: { readonly status: number; readonly headers: Record<string, string>; readonly body: string }
}

const directory = new URL('../fixtures/recorded/', import.meta.url)
const readJson = (file: string): unknown => JSON.parse(readFileSync(new URL(file, directory), 'utf8'))
const expected = readJson('expected.json') as Record<string, Record<string, string>>
const hopByHop: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding', 'connection'])

describe('recorded introspection answers', () => {
  let keyManager: ScriptedKeyManager
  before(async () => {
    keyManager = await startKeyManager()
  })
  after(() => keyManager.close())

  for (const [server, outcomes] of Object.entries(expected)) {
    describe(server, () => {
      const cases = (readJson(`${server}.json`) as Recorded[]).filter(({ request }) =>
        request.path.includes('introspect'),
      )

      it('states an outcome for every recorded introspection, and for nothing else', () => {
        expect(cases.map((recorded) => recorded.case)).to.have.members(Object.keys(outcomes))
      })

      for (const recorded of cases) {
        it(`${recorded.case}: ${outcomes[recorded.case]}`, async () => {
          const { status, headers, body } = recorded.response
          const kept = Object.entries(headers).filter(([name]) => !hopByHop.has(name.toLowerCase()))
          keyManager.answer({ status, headers: Object.fromEntries(kept), body })
          const sentCredentials =
            'authorization' in recorded.request.headers || (recorded.request.body ?? '').includes('client_secret')
          const { client, ask } = observe(keyManager.url, { security: sentCredentials ? basic : { kind: 'none' } })
          const outcome = await ask()
          await client.close()
          expect(described(outcome)).to.equal(outcomes[recorded.case])
        })
      }
    })
  }
})

function described(outcome: Introspected): string {
  if (outcome.kind === 'unavailable') return outcome.cause
  if (outcome.kind !== 'active') return outcome.kind
  if (!outcome.claims.isAccessToken) return 'active, not an access token'
  return outcome.claims.isBound ? 'active, bound' : 'active'
}
