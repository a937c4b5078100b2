import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { runEncrypt } from '../../../src/commands/encrypt.ts'
import { resolveReference } from '../../../src/config/references.ts'
import { GOOD, inDirectory, load, messagesOf } from './writing.ts'

const SECRET = { MICRO_GW_AUTHZ_CIPHER_SECRET: '12345' }
const textOf = (reference: string, env: Record<string, string> = SECRET): string | undefined => {
  const resolved = resolveReference(reference, env)
  return resolved.kind === 'text' ? resolved.text : undefined
}

describe('references', () => {
  it("decrypts WSO2's vectors", () => {
    expect(textOf('@encrypted:{Z1CfAJwCEzmv2JNXIPnR/9AXHqOJqnDaaAQ7HsggGLQ=}')).to.equal('Ballerina')
    expect(textOf('@encrypted:{jFMAXsuMSiOCaxuDLuQjVXzMzZxQrten0652/j93Amw=}')).to.equal('ballerina')
  })

  it('refuses a wrong secret, a cut value and no base64', () => {
    expect(
      textOf('@encrypted:{jFMAXsuMSiOCaxuDLuQjVXzMzZxQrten0652/j93Amw=}', { MICRO_GW_AUTHZ_CIPHER_SECRET: 'wrong' }),
    ).to.equal(undefined)
    expect(textOf('@encrypted:{jFMAXsuMSiOCaxuDLuQjVQ==}')).to.equal(undefined)
    expect(textOf('@encrypted:{not base64}')).to.equal(undefined)
  })

  it('reads the cipher secret from a file, but not from both places', () => {
    inDirectory((directory) => {
      const file = join(directory, 'secret')
      writeFileSync(file, '12345\n')
      const reference = '@encrypted:{Z1CfAJwCEzmv2JNXIPnR/9AXHqOJqnDaaAQ7HsggGLQ=}'
      expect(textOf(reference, { MICRO_GW_AUTHZ_CIPHER_SECRET_FILE: file })).to.equal('Ballerina')
      expect(textOf(reference, { ...SECRET, MICRO_GW_AUTHZ_CIPHER_SECRET_FILE: file })).to.equal(undefined)
    })
  })

  it('drops one trailing line end of a file, and refuses what is empty or no UTF-8', () => {
    inDirectory((directory) => {
      const read = (content: string | Uint8Array): string | undefined => {
        const file = join(directory, 'value')
        writeFileSync(file, content)
        return textOf(`@file:{${file}}`)
      }
      expect(read('s\n')).to.equal('s')
      expect(read('s\n\n')).to.equal('s\n')
      expect(read('s\r\n')).to.equal('s')
      expect(read('')).to.equal(undefined)
      expect(read(Uint8Array.of(0xc3, 0x28))).to.equal(undefined)
    })
  })

  it('refuses unset and empty variables and inherited names', () => {
    expect(textOf('@env:{A}', { A: 'x' })).to.equal('x')
    expect(textOf('@env:{A}', { A: '' })).to.equal(undefined)
    expect(textOf('@env:{toString}', {})).to.equal(undefined)
    expect(textOf('@env:{}', {})).to.equal(undefined)
  })
})

describe('the encrypt command', () => {
  const run = async (
    input: string,
    env: Record<string, string>,
    args: readonly string[] = [],
  ): Promise<{ status: number; out: string; err: string }> => {
    let out = ''
    let err = ''
    const io = {
      stdin: Readable.from([Buffer.from(input)]),
      out: (text: string) => {
        out += text
      },
      err: (text: string) => {
        err += text
      },
    }
    return { status: await runEncrypt(args, env, io), out, err }
  }

  it('writes what the reader reads, another text each time', async () => {
    const [first, second] = [await run('pässword\n', SECRET), await run('pässword', SECRET)]
    expect(first.status).to.equal(0)
    expect(textOf(first.out.trim())).to.equal('pässword')
    expect(textOf(second.out.trim())).to.equal('pässword')
    expect(first.out).to.not.equal(second.out)
  })

  it('says what is missing', async () => {
    expect((await run('x', {})).err).to.include('MICRO_GW_AUTHZ_CIPHER_SECRET')
    expect((await run('', SECRET)).status).to.equal(1)
    expect((await run('x', SECRET, ['password'])).status).to.equal(2)
    expect((await run('x', {}, ['--help'])).status).to.equal(0)
  })
})

describe('values that only look like references', () => {
  const near = [
    '@ENV:{X}',
    '@env{X}',
    '@Env X',
    ' @env:{X}',
    '@file{/x}',
    '@FILE:{/x}',
    '@Encrypted:{eA==}',
    '@encrypted',
  ]
  for (const written of near) {
    it(`are warned about as a secret: ${JSON.stringify(written)}`, () => {
      const toml = GOOD.replace('"secret"', JSON.stringify(`${written}canary`))
      const loaded = load(toml, { X: 'y' })
      const [said, ...others] = messagesOf(loaded, 'warning')
      expect(others).to.deep.equal([])
      expect(said)
        .to.match(/^keyManager\.security\.basic\.password: .*`@(env|file|encrypted)`/)
        .and.contain('letter for letter')
        .and.not.contain('canary')
      expect(loaded.problems[0]?.line).to.equal(7)
      // What WSO2 does with it: sent as it is written.
      const security = loaded.ok ? loaded.config.keyManager.security : undefined
      expect(security?.kind === 'basic' && security.password.reveal()).to.equal(`${written}canary`)
    })
  }

  it('are warned about in variables, user names and one of two secrets, not in a section that is switched off', () => {
    const warned = (toml: string, env: Record<string, string> = {}): readonly string[] =>
      load(toml, env)
        .problems.filter(({ message }) => message.includes('letter for letter'))
        .map(({ key }) => key)
    expect(warned(GOOD, { keymanager_security_basic_password: '@ENV:{X}' })).to.deep.equal([
      'keyManager.security.basic.password',
    ])
    expect(warned(GOOD.replace('"gateway"', '"@ENV:{X}"'))).to.deep.equal(['keyManager.security.basic.username'])
    const client = (enabled: boolean): string =>
      `[keyManager]\nintrospectUrl = "https://km.example.com/i"\n[keymanager.security.oauth2]\nenabled = ${enabled}\ntokenUrl = "https://km.example.com/t"\n[keymanager.security.oauth2.clientCredential]\nenabled = true\nclientId = "c"\nclientSecret = ["plain", "@FILE:{/x}"]\n`
    expect(warned(client(true))).to.deep.equal(['keyManager.security.oauth2.clientCredential.clientSecret'])
    expect(warned(client(false))).to.deep.equal([])
  })

  it('are no others: what a reference brings, an @ elsewhere', () => {
    const env = { SECRET: '@ENV:{X}' }
    expect(load(GOOD.replace('"secret"', '"@env:{SECRET}"'), env).problems).to.deep.equal([])
    expect(load(GOOD.replace('"secret"', '"a@env:{X}"')).problems).to.deep.equal([])
    expect(load(GOOD.replace('"secret"', '"@home"')).problems).to.deep.equal([])
  })
})
