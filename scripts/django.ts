/** A real django-oauth-toolkit: found in .venv/, or installed from PyPI as test/support/django/requirements.txt says. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const requirements = join(root, 'test', 'support', 'django', 'requirements.txt')

/** The release the tests run, from the one place that names it. */
export const DJANGO_OAUTH_TOOLKIT_VERSION = readVersion()

const venv = join(root, '.venv', `django-oauth-toolkit-${DJANGO_OAUTH_TOOLKIT_VERSION}`)
/** The last thing an installation writes: without it, or with other versions in it, it is done again. */
const stamp = join(venv, 'requirements.txt')
const python = join(venv, 'bin', 'python')

/** The interpreter that can import it, or why there is none. */
export type Provided =
  | { readonly kind: 'python'; readonly file: string }
  | { readonly kind: 'none'; readonly reason: string }

/** The interpreter of the environment in .venv/; undefined where that is missing, half-made or of other versions. */
export function findDjango(): string | undefined {
  if (!existsSync(python) || !existsSync(stamp)) return undefined
  return readFileSync(stamp, 'utf8') === readFileSync(requirements, 'utf8') ? python : undefined
}

/** Finds or makes the environment. Takes seconds where it is made, and needs Python 3.10 or newer. */
export function provideDjango(timeoutMs = 150_000): Provided {
  const found = findDjango()
  if (found !== undefined) return { kind: 'python', file: found }
  rmSync(venv, { recursive: true, force: true })
  const reason =
    failure('python3', ['-m', 'venv', venv], timeoutMs) ??
    failure(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements], timeoutMs)
  if (reason !== undefined) {
    rmSync(venv, { recursive: true, force: true })
    return { kind: 'none', reason: `django-oauth-toolkit ${DJANGO_OAUTH_TOOLKIT_VERSION} is missing: ${reason}` }
  }
  copyFileSync(requirements, stamp)
  return { kind: 'python', file: python }
}

/** Undefined where the program ended well, else what it said last. */
function failure(program: string, args: readonly string[], timeoutMs: number): string | undefined {
  const { status, error, stderr, stdout } = spawnSync(program, args, { encoding: 'utf8', timeout: timeoutMs })
  if (error !== undefined) return `${program} ${args[1] ?? ''}: ${error.message}`
  if (status === 0) return undefined
  const said = `${stdout}\n${stderr}`.trim().split('\n').at(-1) ?? ''
  return `${program} ${args[1] ?? ''} ended with ${status}: ${said}`
}

function readVersion(): string {
  const version = /^django-oauth-toolkit==(\S+)$/m.exec(readFileSync(requirements, 'utf8'))?.[1]
  if (version === undefined) throw new Error(`${requirements} does not pin django-oauth-toolkit`)
  return version
}
