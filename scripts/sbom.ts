/**
 * Prints a CycloneDX list of what a user of the package installs. `npm sbom --omit dev` alone leaves out what a
 * development dependency needs as well (jose, behind oidc-provider) and names the package after its folder: npm is shown
 * the manifest and the lock file without their development part, in a folder with the package's name.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface Manifest {
  readonly name: string
  readonly devDependencies?: unknown
}

interface LockFile {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly devDependencies?: unknown }>>
}

const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'))

const { devDependencies: _, ...manifest } = read('package.json') as Manifest
const lock = read('package-lock.json') as LockFile
const packages = Object.entries(lock.packages)
  .filter(([, { dev }]) => dev !== true)
  .map(([path, { devDependencies: _dropped, ...entry }]) => [path, entry] as const)

const temporary = mkdtempSync(join(tmpdir(), 'sbom-'))
const folder = join(temporary, manifest.name)
mkdirSync(folder)
writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ ...lock, packages: Object.fromEntries(packages) }))
const command = ['sbom', '--sbom-format', 'cyclonedx', '--sbom-type', 'application', '--package-lock-only']
// Under `npm run` npm is told to work where the script stands.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_config_local_prefix$/i.test(name)))
const { status, error } = spawnSync('npm', command, { cwd: folder, env, stdio: 'inherit' })
rmSync(temporary, { recursive: true })
if (error !== undefined) console.error(`npm does not start: ${error.message}`)
process.exit(status ?? 1)
