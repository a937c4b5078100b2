/** The key manager client with one line of `own-token.ts` spoilt: what the model must notice. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { createKeyManager } from '../../../src/keymanager/key-manager.ts'

const KEY_MANAGER = new URL('../../../src/keymanager/key-manager.ts', import.meta.url)
const OWN_TOKEN = new URL('../../../src/keymanager/own-token.ts', import.meta.url)

/** What stands in the source exactly once, and what takes its place. */
export type Spoiling = readonly [original: string, spoilt: string]

export interface Mutant {
  readonly createKeyManager: typeof createKeyManager
  remove(): void
}

/** Throws where the source no longer holds the text to spoil: the mutant would be none. */
export async function createMutant(spoilings: readonly Spoiling[]): Promise<Mutant> {
  let ownToken = readFileSync(OWN_TOKEN, 'utf8')
  for (const [original, spoilt] of spoilings) {
    if (ownToken.split(original).length !== 2) throw new Error(`own-token.ts does not hold once: ${original}`)
    ownToken = ownToken.replace(original, () => spoilt)
  }
  const folder = mkdtempSync(join(tmpdir(), 'own-token-mutant-'))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  writeFileSync(join(folder, 'own-token.ts'), relocated(ownToken))
  const file = join(folder, 'key-manager.ts')
  writeFileSync(file, relocated(readFileSync(KEY_MANAGER, 'utf8')))
  const module = (await import(pathToFileURL(file).href)) as Pick<Mutant, 'createKeyManager'>
  return {
    createKeyManager: module.createKeyManager,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** Every import from where it was, but that of the mutant, which lies beside. */
function relocated(source: string): string {
  return source.replace(/ from '(\.[^']+)'/g, (whole, path: string) =>
    path === './own-token.ts' ? whole : ` from '${new URL(path, KEY_MANAGER).href}'`,
  )
}
