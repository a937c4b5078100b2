/** Programs the deploy suite needs: `.tools/bin` first (what `.ci/tools/*.sh` install), then the PATH. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Context } from 'mocha'

const installed = fileURLToPath(new URL('../../.tools/bin', import.meta.url))

/** The program's path, or undefined. */
export function findTool(name: string, path: string | undefined = process.env['PATH']): string | undefined {
  return [installed, ...(path ?? '').split(delimiter)]
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable)
}

/** For a `before` hook. Where the program is missing the suite is skipped with a reason; under CI=true it fails. */
export function needTool(context: Context, name: string): string {
  const found = findTool(name)
  if (found !== undefined) return found
  const reason = `${name} is not installed: run the script of .ci/tools that names it`
  if (process.env['CI'] === 'true') throw new Error(reason)
  console.log(`      skipped: ${reason}`)
  context.skip()
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
