import { expect } from 'chai'
import { describe, it } from 'mocha'
import { ConfigurationError } from '../../src/config/configuration-error.ts'
import { startTestApp } from '../support/app.ts'
import { startKeyManager } from '../support/key-manager.ts'
import { FIGURES } from './figures.ts'

describe('F40 no credentials because of a mistake in the configuration', () => {
  for (const [name, basic] of [
    ['no scheme', ''],
    ['empty user name', '[keymanager.security.basic]\nenabled = true\nusername = ""\npassword = "x"\n'],
    ['switched off', '[keymanager.security.basic]\nenabled = false\nusername = "u"\npassword = "x"\n'],
    [
      'a missing secret file',
      '[keymanager.security.basic]\nenabled = true\nusername = "u"\npassword = "@file:{/nowhere/at/all}"\n',
    ],
    ['oauth2, which is not supported yet', '[keymanager.security.oauth2]\nenabled = true\n'],
  ] as const) {
    it(`is refused at start: ${name}`, async () => {
      const keyManager = await startKeyManager()
      const toml = `[keyManager]\nexternal = true\nintrospectUrl = "${keyManager.url}"\n${basic}`
      try {
        const thrown = await startTestApp(toml).then(
          async (running) => {
            await running.close()
            return undefined
          },
          (error: unknown) => error,
        )
        expect(thrown).to.be.instanceOf(ConfigurationError)
        expect(keyManager.requests).to.have.length(FIGURES.F40.unauthenticatedCalls)
      } finally {
        await keyManager.close()
      }
    })
  }
})
