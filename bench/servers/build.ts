/**
 * What users run is the build. Each bench makes one in a folder of its own, so that a change of the tree or another
 * build meanwhile does not disturb it.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** The path of the command line to run: of a fresh build, or of the sources where `quick` (they start later). */
export function provideCli(quick: boolean): string {
  if (quick) return join(root, 'src', 'cli.ts')
  const folder = mkdtempSync(join(tmpdir(), 'micro-gw-build-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const build = [join(root, 'scripts', 'bundle.ts'), join(folder, 'dist')]
  const { status } = spawnSync(process.execPath, build, { stdio: 'inherit' })
  if (status !== 0) throw new Error('the build failed')
  for (const name of ['node_modules', 'proto']) symlinkSync(join(root, name), join(folder, name))
  copyFileSync(join(root, 'package.json'), join(folder, 'package.json'))
  return join(folder, 'dist', 'cli.js')
}
