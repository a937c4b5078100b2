/** What the documents promise exists, and what exists is documented. */
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { REASONS } from '../src/authz/decision.ts'
import { loadConfig } from '../src/config/load.ts'
import { makeCertificates } from './support/certificates.ts'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const DOCUMENTS = [...globSync('*.md', { cwd: ROOT }), ...globSync('docs/*.md', { cwd: ROOT })]

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

/** A section's text, from its heading to the next of the same level or higher. */
function section(document: string, heading: string): string {
  const level = /^#+/.exec(heading)?.[0].length ?? 0
  const from = document.indexOf(`\n${heading}\n`) + 1
  const rest = document.slice(from + heading.length)
  const next = new RegExp(`^#{1,${level}} `, 'm').exec(rest)
  return from === 0 ? '' : rest.slice(0, next?.index)
}

/** Rows of the first table below a heading, without its head; the code marks around a whole cell are dropped. */
function rowsBelow(document: string, heading: string): readonly (readonly string[])[] {
  const table = /^\|[\s\S]*?(?=\n\n|$(?![\s\S]))/m.exec(section(document, heading))?.[0] ?? ''
  return table
    .split('\n')
    .slice(2)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replace(/^`([^`]*)`$/, '$1')),
    )
}

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
  const golden = read('test/fixtures/metrics.golden.txt')
  /** Those of the process above several workers are not in the golden exposition, which is one process's. */
  const exposed = [
    ...new Set([
      ...found(golden, /^# TYPE (microgw_\w+)/gm),
      ...found(read('src/telemetry/metrics.ts'), /\bname: '(microgw_\w+)'/g),
    ]),
  ].sort()

  it('operations.md has a heading for every reason', () => {
    const headings = found(section(operations, '## The reasons'), /^### (\S+)$/gm)
    expect([...headings].sort()).to.deep.equal([...REASONS].sort())
  })

  it("README's table of outcomes names every reason, and no other", () => {
    const table = /^\| reason \|[\s\S]*?\n\n/m.exec(read('README.md'))?.[0] ?? ''
    const firstCells = found(table, /^\|([^|]+)\|/gm).join(' ')
    expect([...found(firstCells, /`([a-z_]+)`/g)].sort()).to.deep.equal([...REASONS].sort())
  })

  it('operations.md names every metric of ours, and no other', () => {
    const documented = new Set(found(operations, /\b(microgw_\w+)/g))
    expect(exposed).to.have.length.above(10)
    expect([...documented].sort()).to.deep.equal(exposed)
  })

  it('operations.md says of every metric what to do when it moves', () => {
    const rows = rowsBelow(operations, '## Metrics')
    expect(rows.map(([metric = '']) => metric).sort()).to.deep.equal(exposed)
    for (const row of rows) {
      expect(row, row[0]).to.have.length(4)
      expect(row[3], row[0]).to.have.length.above(10)
    }
  })

  it('operations.md has a row for every outcome, with causes and a first step', () => {
    const tables = [
      ['## Outcomes of introspection', 'microgw_introspections_total'],
      ['## Outcomes of a request for the own token', 'microgw_own_token_renewals_total'],
    ] as const
    for (const [heading, metric] of tables) {
      const outcomes = found(golden, new RegExp(`^${metric}\\{.*outcome="(\\w+)"`, 'gm'))
      const rows = rowsBelow(operations, heading)
      expect(outcomes, metric).to.have.length.above(5)
      expect(rows.map(([outcome = '']) => outcome).sort()).to.deep.equal([...new Set(outcomes)].sort())
      for (const row of rows)
        expect(
          row.filter((cell) => cell === ''),
          row[0],
        ).to.deep.equal([])
    }
  })

  it('operations.md has a section for every alert of deploy/prometheus, and none besides', () => {
    const rules = globSync('deploy/prometheus/rules/*.yml', { cwd: ROOT }).map(read).join('\n')
    const alerts = found(rules, /^\s*- alert: (\w+)$/gm)
    expect(alerts).to.have.length.above(10)
    expect([...found(section(operations, '## Alerts'), /^### (\S+)$/gm)].sort()).to.deep.equal([...alerts].sort())
    const runbooks = found(rules, /^\s*runbook_url: (.+)$/gm)
    expect(runbooks).to.have.length(alerts.length)
    const headings = anchors(operations).map((anchor) => `docs/operations.md#${anchor}`)
    expect(runbooks.filter((url) => !headings.some((heading) => url.trim().endsWith(heading)))).to.deep.equal([])
  })

  it('operations.md sizes by figures that performance.md measured: after a new measurement mend the table in Sizing', () => {
    const performance = read('docs/performance.md')
    const rows = rowsBelow(operations, '## Sizing')
    expect(rows).to.have.length(5)
    expect(rows.filter(([, figure = '-']) => !performance.includes(figure))).to.deep.equal([])
  })

  it('operations.md names every event that the sidecar logs', () => {
    const sources = globSync('src/**/*.ts', { cwd: ROOT })
    const events = sources.flatMap((file) => found(read(file), /\blog\.(?:debug|info|warn|error)\(\s*'(\w+)'/g))
    expect(events).to.have.length.above(10)
    expect([...new Set(events)].filter((event) => !operations.includes(`\`${event}\``))).to.deep.equal([])
  })

  for (const document of ['README.md', 'docs/operations.md', 'docs/migrating-from-wso2.md']) {
    it(`every configuration block of ${document} loads without a warning`, () => {
      // Blocks that are meant not to load are marked: test/docs-migrating.test.ts holds them to it.
      const whole = read(document).replace(/<!-- (?:refused: \S+|file: before\.conf) -->\n```toml\n[\s\S]*?^```/gm, '')
      const blocks = found(whole, /^```toml\n([\s\S]*?)^```/gm)
      expect(blocks).to.have.length.above(0)
      const dir = mkdtempSync(join(tmpdir(), 'docs-test-'))
      try {
        writeFileSync(join(dir, 'secret'), 'a-secret\n')
        const certificates = makeCertificates()
        certificates.remove()
        writeFileSync(join(dir, 'ca.pem'), certificates.server.ca)
        for (const block of blocks) {
          const file = join(dir, 'micro-gw.conf')
          const mounted = block
            .replace(/@file:\{[^}]*\}/g, () => `@file:{${join(dir, 'secret')}}`)
            .replace(/"\/etc\/[^"]*\.pem"/g, () => JSON.stringify(join(dir, 'ca.pem')))
          writeFileSync(file, mounted)
          const loaded = loadConfig({ file, env: {} })
          expect(loaded.problems.filter(({ severity }) => severity !== 'notice')).to.deep.equal([])
          expect(loaded.ok).to.equal(true)
        }
      } finally {
        rmSync(dir, { recursive: true })
      }
    })
  }

  it('every command that a document names exists', () => {
    const commands = found(read('src/cli.ts'), /^ {2}\['([a-z-]+)', async/gm)
    const code = DOCUMENTS.flatMap((document) => [
      ...found(read(document), /^```sh\n([\s\S]*?)^```/gm),
      ...found(read(document).replace(/^```[\s\S]*?^```/gm, ''), /`([^`\n]+)`/g),
    ])
    const named = code.flatMap((text) => found(text, /\bmicro-gw-authz ([a-z][a-z-]*)/g))
    expect(commands).to.include('serve')
    expect(named).to.include('check-config')
    expect(named.filter((command) => !commands.includes(command))).to.deep.equal([])
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
