/**
 * Runs one npm script after making sure that what it needs is installed. Plain JavaScript, so that an older Node can
 * run it: the npm package `node` (a development dependency) brings the Node 24 that runs everything behind it.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const [script, ...rest] = process.argv.slice(2)
const at = (...parts) => join(root, ...parts)
const modifiedAt = (file) => (existsSync(file) ? statSync(file).mtimeMs : 0)

const installed = at('node_modules', '.package-lock.json')
const node = at('node_modules', '.bin', 'node')

// Without the Node it brings, an installation counts as none.
if (!existsSync(node) || modifiedAt(installed) < modifiedAt(at('package-lock.json'))) {
  console.log('Installing dependencies (npm ci) ...')
  const { status } = spawnSync('npm', ['ci', '--no-fund', '--no-audit', '--loglevel=error'], {
    cwd: root,
    stdio: 'inherit',
  })
  if (status !== 0) process.exit(status ?? 1)
}
const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout ?? ''
if (Number(/^v(\d+)/.exec(version)?.[1] ?? 0) < 24) {
  console.error(
    'Node 24 is missing: the install script of the npm package "node" did not run (package.json approves it with' +
      ' allowScripts; ignore-scripts=true in an .npmrc forbids it). Allow it, then run: npm rebuild node',
  )
  process.exit(1)
}

const child = spawn('npm', ['run', '--silent', script, '--', ...rest], { cwd: root, stdio: 'inherit' })
child.on('error', (error) => {
  console.error(`npm does not start: ${error.message}`)
  process.exit(1)
})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
// npm passes a signal to its shell only, and the shell to nobody: a parent that is gone means stop.
const parent = process.ppid
setInterval(() => process.ppid === parent || child.kill('SIGTERM'), 500).unref()
child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)))
