/** The product's version, from the package's own manifest: the same file for `src/` and for the built `dist/`. */
import { readFileSync } from 'node:fs'

function readVersion(): string {
  try {
    const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
    if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) return String(manifest.version)
  } catch {
    // A version that cannot be read is no reason not to start.
  }
  return 'unknown'
}

/** SemVer; `unknown` where the manifest is missing. */
export const VERSION: string = readVersion()
