import { expect } from 'chai'
import { describe, it } from 'mocha'
import { FIGURES } from './figures.ts'
import { serveToItsEnd } from './own-process.ts'

const URLS = [
  'file:///etc/passwd',
  'unix:/run/x.sock',
  'https://user:canary@idp.example.com/path',
  'https://idp.example.com/path#canary',
]

const OAUTH2 = (tokenUrl: string): string => `[keyManager]
introspectUrl = "https://idp.example.com/introspect"
[keymanager.security.oauth2]
enabled = true
tokenUrl = "${tokenUrl}"
[keymanager.security.oauth2.clientCredential]
enabled = true
clientId = "gateway"
`
const CONFIGURATIONS: Readonly<Record<string, (url: string) => string>> = {
  introspectUrl: (url) => `[keyManager]\nintrospectUrl = "${url}"\n[keymanager.security.none]\nenabled = true\n`,
  serverUrl: (url) =>
    `[keyManager]\nexternal = true\nserverUrl = "${url}"\n[keymanager.security.none]\nenabled = true\n`,
  discoveryUrl: (url) => `[keyManager]\ndiscoveryUrl = "${url}"\n[keymanager.security.none]\nenabled = true\n`,
  tokenUrl: OAUTH2,
}

describe('F37 a URL of another kind, with a user or with a fragment', () => {
  for (const [key, configuration] of Object.entries(CONFIGURATIONS)) {
    for (const url of URLS) {
      it(`ends serve with ${FIGURES.F37.exit} and names ${key}: ${url.split('canary')[0]}`, async () => {
        const { exit, output } = await serveToItsEnd(configuration(url))
        expect(exit).to.equal(FIGURES.F37.exit)
        expect(output).to.match(new RegExp(`error: keyManager\\S*\\.${key}: `))
        expect(output).not.to.contain('canary')
      }).timeout(20_000)
    }
  }
})
