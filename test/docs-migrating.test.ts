/** docs/migrating-from-wso2.md says of every key of WSO2's what loadConfig really does with it. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect } from 'chai'
import { after, before, describe, it } from 'mocha'
import { findEnvoy } from '../scripts/envoy.ts'
import { runCheckConfig } from '../src/commands/check-config.ts'
import type { Problem } from '../src/config/config.ts'
import { loadSettings } from '../src/config/load.ts'
import { createReport } from '../src/config/report.ts'
import { rowOf, SCHEMA } from '../src/config/schema.ts'
import { isTable } from '../src/config/tables.ts'
import { parseToml } from '../src/config/toml.ts'
import { makeCertificates } from './support/certificates.ts'

const DOCUMENT = new URL('../docs/migrating-from-wso2.md', import.meta.url)
const text = readFileSync(DOCUMENT, 'utf8')

/** One line of a table that begins with key and example. */
interface Line {
  readonly key: string
  /** TOML: a value, or below `T.*` an assignment in `[T]`. */
  readonly example: string
  readonly here: string
  /** Undefined in the tables without these columns; `-`: none. */
  readonly template: string | undefined
  readonly fallback: string | undefined
}

function cellsOf(line: string): readonly string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim().replace(/^`(.*)`$/, '$1'))
}

function readLines(): readonly Line[] {
  let columns: readonly string[] = []
  return text.split('\n').flatMap((line) => {
    if (!line.startsWith('|')) columns = []
    else if (columns.length === 0) columns = cellsOf(line)
    else if (columns[0] === 'key' && columns[1] === 'example' && !line.startsWith('|---')) {
      const cells = cellsOf(line)
      const cell = (name: string): string | undefined => cells[columns.indexOf(name)]
      return [
        {
          key: cell('key') ?? '',
          example: cell('example') ?? '',
          here: cell('here') ?? '',
          template: cell("WSO2's template"),
          fallback: cell('default here'),
        },
      ]
    }
    return []
  })
}

const lines = readLines()

/** The first groups of every marked block: its marker's words, and its content. */
function blocks(marker: string): readonly (readonly [words: string, content: string])[] {
  const pattern = new RegExp(`<!-- ${marker}:? ?(.*?) ?-->\\n\`\`\`\\w*\\n([\\s\\S]*?)\`\`\``, 'g')
  return [...text.matchAll(pattern)].map((match) => [match[1] ?? '', match[2] ?? ''] as const)
}

const OAUTH2 = 'keyManager.security.oauth2'
const BASE = { 'keyManager.external': 'true', 'keyManager.serverUrl': '"https://is.example.com"' }
const BASIC = {
  ...BASE,
  'keyManager.security.basic.username': '"gateway"',
  'keyManager.security.basic.password': '"secret"',
}
const OWN_TOKEN = { ...BASE, [`${OAUTH2}.enabled`]: 'true', [`${OAUTH2}.tokenUrl`]: '"https://is.example.com/token"' }
const client = (grant: string): Readonly<Record<string, string>> => ({
  [`${OAUTH2}.${grant}.enabled`]: 'true',
  [`${OAUTH2}.${grant}.clientId`]: '"gateway"',
  [`${OAUTH2}.${grant}.clientSecret`]: '"secret"',
})
const DIRECT = {
  ...OWN_TOKEN,
  [`${OAUTH2}.directToken.enabled`]: 'true',
  [`${OAUTH2}.directToken.accessToken`]: '"token"',
}

/** What must stand around a key for it to have a meaning. */
function surroundings(key: string): Readonly<Record<string, string>> {
  if (/^keyManager\.(username|password)$/.test(key))
    return { ...BASE, 'keyManager.username': '"gateway"', 'keyManager.password': '"secret"' }
  if (/^keyManager\.(external|enableLegacy\w+)$/.test(key)) {
    const { 'keyManager.external': _, ...rest } = BASIC
    return rest
  }
  if (key.startsWith(`${OAUTH2}.password`)) {
    const user = { [`${OAUTH2}.password.username`]: '"user"', [`${OAUTH2}.password.password`]: '"secret"' }
    return { ...OWN_TOKEN, ...client('password'), ...user }
  }
  if (key.startsWith(`${OAUTH2}.directToken`)) return DIRECT
  if (key.startsWith(`${OAUTH2}.refresh`)) {
    const refresh = {
      [`${OAUTH2}.refresh.refreshUrl`]: '"https://is.example.com/token"',
      [`${OAUTH2}.refresh.refreshToken`]: '"token"',
    }
    return { ...DIRECT, ...client('refresh'), ...refresh }
  }
  if (key.startsWith(OAUTH2)) return { ...OWN_TOKEN, ...client('clientCredential') }
  if (/^httpClients\.proxy\.(enableInternalServices|host|port|username|password)$/.test(key)) {
    return {
      ...BASIC,
      'httpClients.proxy.enableInternalServices': 'true',
      'httpClients.proxy.host': '"proxy.example.com"',
      'httpClients.proxy.port': '3128',
    }
  }
  return BASIC
}

/** The smallest file that holds the key with this example. */
function fileFor(key: string, example: string): string {
  const values = new Map(Object.entries({ ...surroundings(key), ...(key.endsWith('*') ? {} : { [key]: example }) }))
  const tables = Map.groupBy(values, ([path]) => path.slice(0, Math.max(path.lastIndexOf('.'), 0)))
  const body = [...tables]
    .toSorted(([a], [b]) => (a === '' ? -1 : b === '' ? 1 : 0))
    .map(([table, members]) => {
      const header = table === '' ? '' : table === 'jwtTokenConfig' ? `[[${table}]]\n` : `[${table}]\n`
      return `${header}${members.map(([path, value]) => `${path.slice(path.lastIndexOf('.') + 1)} = ${value}\n`).join('')}`
    })
    .join('\n')
  if (!key.endsWith('.*')) return body
  const table = key.slice(0, -2)
  return `${body}\n${table === 'jwtTokenConfig' ? `[[${table}]]` : `[${table}]`}\n${example}\n`
}

/** Whether the problem is about this key: named itself, or by its table and the key's name in the text. */
function isAbout(problem: Problem, key: string): boolean {
  const at = problem.key.replace(/\[\d+\]/g, '')
  const name = key.slice(key.lastIndexOf('.') + 1)
  return at === key || (key.startsWith(`${at}.`) && (name === '*' || problem.message.includes(name)))
}

describe('docs/migrating-from-wso2.md', () => {
  let directory = ''
  let authorityPem = ''
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'migrating-'))
    const certificates = makeCertificates()
    certificates.remove()
    authorityPem = certificates.server.ca
  })
  after(() => rmSync(directory, { recursive: true, force: true }))

  const read = (toml: string): ReturnType<typeof loadSettings> => {
    const file = join(directory, 'one.conf')
    writeFileSync(file, toml)
    return loadSettings({ file, env: {} })
  }

  describe('the tables', () => {
    for (const { key, example, here } of lines) {
      it(`${key} = ${example} is ${here}`, () => {
        const { loaded, settings } = read(fileFor(key, example))
        const about = loaded.problems.filter((problem) => isAbout(problem, key))
        switch (here) {
          case 'same':
            expect(loaded.ok).to.equal(true)
            expect(settings?.isWritten(key)).to.equal(true)
            expect(about.filter((problem) => problem.key === key)).to.deep.equal([])
            break
          case 'different':
            expect(loaded.ok).to.equal(true)
            expect(settings?.isWritten(key)).to.equal(true)
            break
          case 'ignored':
            expect(loaded.ok).to.equal(true)
            expect(about.map(({ severity }) => severity)).to.include('notice')
            break
          case 'refused':
            expect(loaded.ok).to.equal(false)
            expect(about.map(({ severity }) => severity)).to.include('error')
            expect(loaded.problems.filter((one) => one.severity === 'error' && !isAbout(one, key))).to.deep.equal([])
            break
          default:
            throw new Error(`${key}: "${here}" is none of same, different, ignored, refused`)
        }
      })
    }

    for (const { key } of lines.filter(({ here, example }) => here === 'refused' && example === 'true')) {
      it(`${key} = false is accepted`, () => {
        const { loaded } = read(fileFor(key, 'false'))
        const unwelcome = loaded.problems.filter(({ severity }) => severity !== 'notice')
        expect(unwelcome).to.deep.equal([])
        expect(loaded.ok).to.equal(true)
      })
    }

    it('have every key of WSO2 that the schema knows, and no other', () => {
      const known = SCHEMA.filter(({ origin }) => origin === 'wso2').map(({ path }) => path)
      const documented = new Set(lines.map(({ key }) => key))
      expect(documented.size).to.be.above(60)
      expect([...documented].sort()).to.deep.equal(known.sort())
    })

    it('have every key of the two shipped templates', () => {
      const keys = lines.map(({ key }) => key.toLowerCase())
      const isCovered = (path: string): boolean => {
        const lower = path.toLowerCase()
        return keys.some((key) => key === lower || (key.endsWith('.*') && lower.startsWith(key.slice(0, -1))))
      }
      expect(templates.size).to.be.above(100)
      expect([...templates.keys()].filter((path) => !isCovered(path))).to.deep.equal([])
    })

    it("give the template's values", () => {
      for (const { key, template } of lines) {
        if (template === undefined) continue
        const written = templates.get(key.toLowerCase())
        expect(template, key).to.equal(written === undefined ? '-' : JSON.stringify(written))
      }
    })

    it('give the defaults of the schema', () => {
      for (const { key, fallback } of lines) {
        if (fallback === undefined) continue
        const { default: value } = rowOf(key)
        expect(fallback, key).to.equal(value === undefined ? '-' : JSON.stringify(value))
      }
    })

    it('give the units of bare numbers', () => {
      const table = /^\| key \| bare number[\s\S]*?\n\n/m.exec(text)?.[0] ?? ''
      const units = table.trim().split('\n').slice(2).map(cellsOf)
      expect(units).to.have.length(4)
      for (const [key = '', , , here = ''] of units) {
        const { unit, type } = rowOf(key)
        const word = unit === 's' ? 'seconds' : unit === 'ms' ? 'milliseconds' : type === 'integer' ? 'entries' : '?'
        expect(here.split(',')[0], key).to.equal(word)
      }
    })
  })

  it('what the text says of single keys holds', () => {
    const errorsOf = (toml: string): readonly string[] =>
      read(toml)
        .loaded.problems.filter(({ severity }) => severity === 'error')
        .map(({ key, message }) => `${key}: ${message}`)
    const legacy = errorsOf(fileFor('keyManager.enableLegacyMode', 'true'))
    expect(legacy).to.have.length(1)
    expect(legacy[0]).to.match(/^keyManager\.external: /)
    expect(errorsOf(fileFor('caching.enabled', 'true').concat('tokenCache.expiryTime = 900000\n'))).to.have.length(1)
    const misspelt = fileFor('keyManager.external', 'true').replace('serverUrl', 'serverURL')
    expect(errorsOf(misspelt).join()).to.include('`serverUrl`')
    expect(errorsOf(fileFor('caching.tokenCacheExpiryTime', '1').replace('Time', 'Tme')).join()).to.include(
      '`tokenCacheExpiryTime`',
    )
    expect(errorsOf(fileFor('keyManager.tokenContext', '""'))).to.deep.equal([])
    expect(read(fileFor('keyManager.tokenContext', '""')).loaded).to.have.nested.property(
      'config.keyManager.introspectUrl',
      'https://is.example.com/introspect',
    )
  })

  it('its refused files are refused for the key they name', () => {
    const refused = blocks('refused')
    expect(refused).to.have.length.above(0)
    for (const [key, toml] of refused) {
      const errors = read(mounted(toml)).loaded.problems.filter(({ severity }) => severity === 'error')
      expect(errors.map((error) => error.key)).to.deep.equal([key])
    }
  })

  /** UPDATE_DOCS=1 writes what the command prints into the document. */
  it('and check-config --wso2 call the same keys read otherwise than WSO2 reads them', async () => {
    const parts: string[] = []
    const file = join(directory, 'readings.conf')
    writeFileSync(file, fileFor('caching.enabled', 'true'))
    const io = { stdin: Readable.from([]), out: (part: string) => parts.push(part), err: () => undefined }
    expect(await runCheckConfig(['--wso2', '--config', file], {}, io)).to.equal(0)
    const same = new Set([...parts.join('').matchAll(/^([\w.]+) .* the same$/gm)].map(([, key]) => key))
    expect(same).to.include('caching.enabled')
    const otherwise = lines.filter(({ here }) => here === 'different' || here === 'refused')
    expect(otherwise.filter(({ key }) => same.has(key)).map(({ key }) => key)).to.deep.equal([])
  })

  it('its worked example prints what the command prints', async () => {
    for (const [name, toml] of blocks('file')) writeFileSync(join(directory, name), mounted(toml))
    const outputs = blocks('output')
    expect(outputs.map(([command]) => command)).to.deep.equal([
      'check-config --config before.conf',
      'check-config --wso2 --config after.conf',
    ])
    let renewed = text
    for (const [command, documented] of outputs) {
      const { status, out } = await checkConfig(command.split(' ').slice(1))
      expect(status, command).to.equal(command.includes('before') ? 1 : 0)
      if (process.env['UPDATE_DOCS'] === '1')
        renewed = renewed.replace(markedBlock(command), (block) => refill(block, out))
      else expect(out, command).to.equal(documented)
    }
    if (renewed !== text) writeFileSync(DOCUMENT, renewed)
  })

  it('its Envoy configuration is accepted by a real Envoy', function () {
    this.timeout(30_000)
    const binary = findEnvoy()
    if (binary === undefined) {
      if (process.env['CI'] === 'true') throw new Error('no Envoy: see scripts/envoy.ts')
      this.skip()
    }
    const [[, yaml = ''] = []] = blocks('envoy')
    const file = join(directory, 'envoy.yaml')
    writeFileSync(file, yaml)
    const run = spawnSync(binary, ['--mode', 'validate', '-c', file], { encoding: 'utf8', timeout: 25_000 })
    expect(run.status, run.stderr).to.equal(0)
  })

  /** Files the document's configuration mounts, where this machine has them. */
  function mounted(toml: string): string {
    const secret = join(directory, 'secret')
    const authority = join(directory, 'ca.pem')
    writeFileSync(secret, 'a-secret\n')
    writeFileSync(authority, authorityPem)
    return toml
      .replace(/@file:\{[^}]*\}/g, () => `@file:{${secret}}`)
      .replace(/"\/etc\/[^"]*\.pem"/g, () => JSON.stringify(authority))
  }

  async function checkConfig(args: readonly string[]): Promise<{ status: number; out: string }> {
    let out = ''
    const print = (printed: string): void => {
      out += printed
    }
    const io = { stdin: Readable.from([]), out: print, err: print }
    const inPlace = args.map((arg) => (arg.endsWith('.conf') ? join(directory, arg) : arg))
    // The secret of the vector in the specification of the format.
    const status = await runCheckConfig(inPlace, { MICRO_GW_AUTHZ_CIPHER_SECRET: '12345' }, io)
    return { status, out: out.replaceAll(`${directory}/`, '') }
  }
})

function markedBlock(command: string): RegExp {
  return new RegExp(`<!-- output: ${command} -->\\n\`\`\`\\n[\\s\\S]*?\`\`\``)
}

function refill(block: string, out: string): string {
  return block.replace(/```\n[\s\S]*?```/, () => `\`\`\`\n${out}\`\`\``)
}

/** Leaves of the shipped templates by lower-cased path; those of 3.2 win. */
const templates = new Map([...leavesOf('3.1'), ...leavesOf('3.2')])

function leavesOf(version: string): ReadonlyMap<string, unknown> {
  const source = readFileSync(new URL(`fixtures/wso2/micro-gw-${version}.conf`, import.meta.url), 'utf8')
  const document = parseToml(source, createReport())
  if (document === undefined) throw new Error(`the template of ${version} does not parse`)
  const leaves = new Map<string, unknown>()
  const walk = (value: unknown, path: string): void => {
    const elements = Array.isArray(value) ? value.filter(isTable) : []
    if (isTable(value)) for (const name of Object.keys(value)) walk(value[name], path === '' ? name : `${path}.${name}`)
    else if (elements.length > 0) leaves.set(`${path}.[]`.toLowerCase(), elements)
    else leaves.set(path.toLowerCase(), value)
  }
  walk(document.root, '')
  return leaves
}
