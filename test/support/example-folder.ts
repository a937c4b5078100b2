/** A folder of `deploy/` with its README, and what the suites hold of each. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const DEPLOY = fileURLToPath(new URL('../../deploy/', import.meta.url))

/** Name to text, of every file of `deploy/<folder>`. */
export function readExamples(folder: string): Readonly<Record<string, string>> {
  const names = readdirSync(join(DEPLOY, folder)).sort()
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(DEPLOY, folder, name), 'utf8')]))
}

/** The text of one of them; throws where it is missing. */
export function example(files: Readonly<Record<string, string>>, name: string): string {
  const text = files[name]
  if (text === undefined) throw new Error(`no such file: ${name}`)
  return text
}

/** Files that the folder's README does not name, and links of it that lead nowhere. */
export function unexplained(folder: string, files: Readonly<Record<string, string>>): readonly string[] {
  const readme = example(files, 'README.md')
  const links = [...readme.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map((match) => match[1] ?? '')
  return [
    ...Object.keys(files).filter((name) => name !== 'README.md' && !readme.includes(`\`${name}\``)),
    ...links.filter((link) => !existsSync(join(DEPLOY, folder, link))),
  ]
}
