/** Every configuration of docs/key-managers.md loads as it stands; files it names are stood in for. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { after, before, describe, it } from 'mocha'
import type { Config, Loaded } from '../../../src/config/config.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { makeCertificates } from '../../support/certificates.ts'

/** What a section's configurations come to. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  Keycloak: ['basic, form, header'],
  'Ory Hydra': ['none'],
  'WSO2 Identity Server and API Manager': ['basic, raw, header', 'own_token'],
  PingFederate: ['basic, raw, header'],
  'ForgeRock, PingAM': ['basic, raw, header'],
  Okta: ['private_key_jwt', 'basic, raw, header'],
  ZITADEL: ['private_key_jwt', 'basic, form, header'],
  authentik: ['basic, raw, header'],
  'Spring Authorization Server': ['basic, form, header'],
  'node-oidc-provider': ['basic, form, header'],
  'django-oauth-toolkit': ['own_token'],
}

interface Block {
  readonly section: string
  readonly toml: string
}

const page = readFileSync(fileURLToPath(new URL('../../../docs/key-managers.md', import.meta.url)), 'utf8')
const blocks: readonly Block[] = page.split(/^## /m).flatMap((text) =>
  [...text.matchAll(/^```toml\n([\s\S]*?)^```/gm)].map(([, toml = '']) => ({
    section: text.slice(0, text.indexOf('\n')),
    toml,
  })),
)

describe('docs/key-managers.md', () => {
  let dir: string
  let ca: string
  let key: string

  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'key-managers-'))
    const certificates = makeCertificates()
    ca = certificates.server.ca
    certificates.remove()
    key = generateKeyPairSync('rsa', { modulusLength: 2048 })
      .privateKey.export({ type: 'pkcs8', format: 'pem' })
      .toString()
  })

  after(() => rmSync(dir, { recursive: true, force: true }))

  /** Loads it with every file it names replaced by one of `dir`. */
  function load({ toml }: Block): Loaded {
    const secret = standIn('secret', 'a-secret\n')
    const text = toml
      .replace(/@file:\{[^}]*\}/g, () => `@file:{${secret}}`)
      .replace(/^(\w+File) = ".*"$/gm, (_, name) => `${name} = "${standIn(name, name === 'caFile' ? ca : key)}"`)
    return loadConfig({ file: standIn('micro-gw.conf', text), env: {} })
  }

  function standIn(name: string, content: string): string {
    const file = join(dir, name)
    writeFileSync(file, content)
    return file
  }

  it('has the configurations of every server', () => {
    const found = Object.fromEntries(
      blocks.map(({ section }) => [section, blocks.filter((b) => b.section === section)]),
    )
    expect(Object.keys(found)).to.deep.equal(Object.keys(EXPECTED))
    for (const [section, expected] of Object.entries(EXPECTED)) expect(found[section]).to.have.length(expected.length)
  })

  for (const [section, expected] of Object.entries(EXPECTED)) {
    for (const [index, security] of expected.entries()) {
      it(`${section}: ${security} loads without an error, a warning or a notice`, () => {
        const block = blocks.filter((candidate) => candidate.section === section)[index]
        if (block === undefined) throw new Error('the block is missing')
        const loaded = load(block)
        expect(loaded.problems).to.deep.equal([])
        if (!loaded.ok) throw new Error('not loaded')
        expect(securityOf(loaded.config)).to.equal(security)
      })
    }
  }
})

function securityOf({ keyManager: { security } }: Config): string {
  return security.kind === 'basic' ? `basic, ${security.encoding}, ${security.method}` : security.kind
}
