/** Writes a configuration to a directory of its own and loads it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config, Loaded, Problem } from '../../../src/config/config.ts'
import { loadConfig } from '../../../src/config/load.ts'

/** The shortest file that loads without a word. */
export const GOOD = `[keyManager]
external = true
serverUrl = "https://km.example.com"

[keyManager.security.basic]
username = "gateway"
password = "secret"
`

/** Runs with a temporary directory, which is removed afterwards. */
export function inDirectory<T>(run: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'micro-gw-conf-'))
  try {
    return run(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** What loading this text says. */
export function load(
  toml: string | Uint8Array,
  env: Record<string, string> = {},
  flags: Record<string, string> = {},
): Loaded {
  return inDirectory((directory) => {
    const file = join(directory, 'micro-gw.conf')
    writeFileSync(file, toml)
    return loadConfig({ file, env, flags })
  })
}

/** The configuration, or a failure that lists the problems. */
export function loadWell(toml: string, env: Record<string, string> = {}, flags: Record<string, string> = {}): Config {
  const loaded = load(toml, env, flags)
  if (!loaded.ok) throw new Error(`does not load:\n${errorsOf(loaded).join('\n')}`)
  return loaded.config
}

export function errorsOf(loaded: Loaded): readonly string[] {
  return messagesOf(loaded, 'error')
}

/** `key: message` of one severity. */
export function messagesOf(loaded: Loaded, severity: Problem['severity']): readonly string[] {
  return loaded.problems
    .filter((problem) => problem.severity === severity)
    .map(({ key, message }) => `${key}: ${message}`)
}
