import { expect } from 'chai'
import { describe, it } from 'mocha'
import { loadConfig } from '../../src/config/load.ts'

describe('F37 an introspection URL of another kind', () => {
  for (const url of [
    'file:///etc/passwd',
    'unix:/run/x.sock',
    'https://user:pass@idp.example.com/introspect',
    'https://idp.example.com/introspect#x',
  ]) {
    it(`is refused at start: ${url.split(':')[0]}, ${url.length} characters`, () => {
      const loaded = loadConfig({
        file: undefined,
        env: { keyManager_external: 'true', keyManager_introspectUrl: url, keymanager_security_none_enabled: 'true' },
      })
      expect(loaded.ok).to.equal(false)
      const problem = loaded.problems.find(({ severity }) => severity === 'error')
      expect(problem?.key).to.contain('introspectUrl')
      expect(problem?.message).to.not.contain('user:pass')
    })
  }
})
