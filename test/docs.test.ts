/** What the documents promise exists, and what exists is documented. */
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { REASONS } from '../src/authz/decision.ts'
import { loadConfig } from '../src/config/load.ts'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const DOCUMENTS = [...globSync('*.md', { cwd: ROOT }), ...globSync('docs/*.md', { cwd: ROOT })]

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

/** First groups of every match. */
function found(text: string, pattern: RegExp): readonly string[] {
  return [...text.matchAll(pattern)].map((match) => match[1] ?? '')
}

/** GitHub's anchors of a document's headings. */
function anchors(text: string): readonly string[] {
  return found(text, /^#+ (.+)$/gm).map((heading) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\-_ ]/gu, '')
      .replaceAll(' ', '-'),
  )
}

function brokenLinks(document: string): readonly string[] {
  // Code holds brackets that are no links.
  const prose = read(document)
    .replace(/^```[\s\S]*?^```/gm, '')
    .replace(/`[^`\n]*`/g, '')
  return found(prose, /\]\(([^)\s]+)\)/g)
    .filter((target) => !/^[a-z][a-z+.-]*:/i.test(target))
    .filter((target) => {
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? document : join(dirname(document), path)
      if (!existsSync(join(ROOT, file))) return true
      return anchor !== undefined && !anchors(read(file)).includes(anchor)
    })
    .map((target) => `${document}: ${target}`)
}

describe('the documents', () => {
  const operations = read('docs/operations.md')

  it('operations.md has a heading for every reason', () => {
    const headings = found(operations, /^### (\S+)$/gm)
    expect([...headings].sort()).to.deep.equal([...REASONS].sort())
  })

  it("README's table of outcomes names every reason, and no other", () => {
    const table = /^\| reason \|[\s\S]*?\n\n/m.exec(read('README.md'))?.[0] ?? ''
    const firstCells = found(table, /^\|([^|]+)\|/gm).join(' ')
    expect([...found(firstCells, /`([a-z_]+)`/g)].sort()).to.deep.equal([...REASONS].sort())
  })

  it('operations.md names every metric of ours in the golden exposition, and no other', () => {
    const exposed = found(read('test/fixtures/metrics.golden.txt'), /^# TYPE (microgw_\w+)/gm)
    const documented = new Set(found(operations, /\b(microgw_\w+)/g))
    expect(exposed).to.have.length.above(10)
    expect([...documented].sort()).to.deep.equal([...exposed].sort())
  })

  it('operations.md names every event that the sidecar logs', () => {
    const sources = globSync('src/{server,telemetry,keymanager,authz,cache,config,envoy,net}/**/*.ts', { cwd: ROOT })
    const events = [...sources, 'src/app.ts'].flatMap((file) =>
      found(read(file), /\blog\.(?:debug|info|warn|error)\(\s*'(\w+)'/g),
    )
    expect(events).to.have.length.above(10)
    expect([...new Set(events)].filter((event) => !operations.includes(`\`${event}\``))).to.deep.equal([])
  })

  it('every configuration block of the README loads without a warning', () => {
    const blocks = found(read('README.md'), /^```toml\n([\s\S]*?)^```/gm)
    expect(blocks).to.have.length.above(0)
    const dir = mkdtempSync(join(tmpdir(), 'docs-test-'))
    try {
      writeFileSync(join(dir, 'secret'), 'a-secret\n')
      for (const block of blocks) {
        const file = join(dir, 'micro-gw.conf')
        writeFileSync(
          file,
          block.replace(/@file:\{[^}]*\}/g, () => `@file:{${join(dir, 'secret')}}`),
        )
        const loaded = loadConfig({ file, env: {} })
        expect(loaded.problems.filter(({ severity }) => severity !== 'notice')).to.deep.equal([])
        expect(loaded.ok).to.equal(true)
      }
    } finally {
      rmSync(dir, { recursive: true })
    }
  })

  it('every npm script that a document names exists', () => {
    const parsed: { readonly scripts: Readonly<Record<string, string>> } = JSON.parse(read('package.json'))
    const named = DOCUMENTS.flatMap((document) => found(read(document), /npm run ([\w:-]+)/g))
    expect(named).to.include('demo')
    expect(named.filter((script) => !Object.hasOwn(parsed.scripts, script))).to.deep.equal([])
  })

  it('every relative link leads somewhere', () => {
    expect(DOCUMENTS.flatMap(brokenLinks)).to.deep.equal([])
  })
})
