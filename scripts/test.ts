/**
 * Type check, lint, build, then every test suite in a process of its own. The last line sums them up:
 * `N passed, N failed`. With names as arguments only those suites run. Under CI=true a skipped test is a failure.
 */
import { spawn } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const SUITE_TIMEOUT_MS = 400_000
/** Keycloak, Envoy, istioctl and others one after another: three minutes on an idle machine. */
const DEPLOY_TIMEOUT_MS = 900_000

interface Step {
  readonly name: string
  readonly command: readonly string[]
}

interface Tally {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

const CHECKS: readonly Step[] = [
  { name: 'typecheck', command: ['tsc', '--noEmit'] },
  { name: 'lint', command: ['biome', 'check', '.'] },
  { name: 'build', command: ['node', 'scripts/bundle.ts'] },
]

const SUITES: Readonly<Record<string, string>> = {
  unit: 'test/unit/**/*.test.ts',
  property: 'test/property/**/*.test.ts',
  conformance: 'test/conformance/**/*.test.ts',
  integration: 'test/integration/**/*.test.ts',
  architecture: 'test/*.test.ts',
  faults: 'test/faults/**/*.test.ts',
  envoy: 'test/envoy/**/*.test.ts',
  bench: 'test/bench/**/*.test.ts',
}

/** Needs tools that take minutes to have: runs when named only, `npm run test:deploy`. */
const NAMED_SUITES: Readonly<Record<string, string>> = {
  deploy: 'test/deploy/**/*.test.ts',
}

/** Resolves with the exit code; a process that does not end in time is killed and counts as failed. */
function run([program = '', ...args]: readonly string[], timeoutMs: number): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(join(root, 'node_modules', '.bin', program), args, { cwd: root, stdio: 'inherit' })
    const timer = setTimeout(() => {
      console.error(`${program} ${args.join(' ')}: did not end within ${timeoutMs / 1000} s, killed`)
      child.kill('SIGKILL')
    }, timeoutMs)
    child.on('exit', (code) => {
      clearTimeout(timer)
      resolve(code ?? 1)
    })
    child.on('error', () => {
      clearTimeout(timer)
      resolve(1)
    })
  })
}

async function runSuite(name: string, pattern: string, report: string): Promise<Tally> {
  const files = globSync(pattern, { cwd: root }).sort()
  if (files.length === 0) return { passed: 0, failed: 0, skipped: 0 }
  console.log(`\n== ${name}: ${files.length} files`)
  const reporter = ['--reporter', join(root, 'scripts', 'tally-reporter.mjs'), '--reporter-option', `output=${report}`]
  const timeoutMs = name in NAMED_SUITES ? DEPLOY_TIMEOUT_MS : SUITE_TIMEOUT_MS
  const code = await run(['mocha', ...reporter, ...files], timeoutMs)
  const tally = readTally(report)
  // A crash or a hang leaves no report, or one without the failure.
  return code !== 0 && tally.failed === 0 ? { ...tally, failed: 1 } : tally
}

function readTally(report: string): Tally {
  try {
    const read: unknown = JSON.parse(readFileSync(report, 'utf8'))
    if (typeof read === 'object' && read !== null && 'passed' in read && 'failed' in read && 'skipped' in read) {
      return { passed: Number(read.passed), failed: Number(read.failed), skipped: Number(read.skipped) }
    }
  } catch {
    // No report: the suite did not come to its end.
  }
  return { passed: 0, failed: 1, skipped: 0 }
}

const wanted = process.argv.slice(2)
const suites = { ...SUITES, ...NAMED_SUITES }
const unknown = wanted.filter((name) => !(name in suites) && !CHECKS.some((check) => check.name === name))
if (unknown.length > 0) {
  console.error(
    `no such suite: ${unknown.join(', ')}; there are ${[...CHECKS.map((check) => check.name), ...Object.keys(suites)].join(', ')}`,
  )
  process.exit(2)
}
const isWanted = (name: string): boolean => (wanted.length === 0 ? !(name in NAMED_SUITES) : wanted.includes(name))

let passed = 0
let failed = 0
let skipped = 0
const red: string[] = []

for (const { name, command } of CHECKS.filter((check) => isWanted(check.name))) {
  console.log(`\n== ${name}`)
  const ok = (await run(command, SUITE_TIMEOUT_MS)) === 0
  if (ok) passed += 1
  else {
    failed += 1
    red.push(name)
  }
}

const reports = mkdtempSync(join(tmpdir(), 'micro-gw-tests-'))
for (const [name, pattern] of Object.entries(suites).filter(([suite]) => isWanted(suite))) {
  const tally = await runSuite(name, pattern, join(reports, `${name}.json`))
  passed += tally.passed
  failed += tally.failed
  skipped += tally.skipped
  if (tally.failed > 0) red.push(name)
}
rmSync(reports, { recursive: true, force: true })

// A program that is missing on a developer's machine is a reason to skip; in CI it is a failure.
if (process.env['CI'] === 'true' && skipped > 0) {
  red.push(`${skipped} skipped tests`)
  failed += skipped
  skipped = 0
}
if (red.length > 0) console.log(`\nFAILED: ${red.join(', ')}`)
console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exit(failed === 0 ? 0 : 1)
