/** From a file, the environment and flags to a total, frozen configuration, or everything that is wrong. */
import { readFileSync } from 'node:fs'
import { readCaching } from './caching-rules.ts'
import type { Config, Loaded } from './config.ts'
import { effectiveValues } from './effective.ts'
import { readEnvironment, readFlags } from './environment.ts'
import { readCredentials, readMetadata, readUpstreamHeaders } from './header-rules.ts'
import { readKeyManager } from './key-manager-rules.ts'
import { readAdmin, readExtAuthz } from './listener-rules.ts'
import { readPolicy } from './policy-rules.ts'
import { decodeUtf8, type Environment, readingProblem } from './references.ts'
import { createReport, type Report } from './report.ts'
import { Secret } from './secret.ts'
import { readSettings, type Settings } from './settings.ts'
import { lineIn, readTables } from './tables.ts'
import { parseToml } from './toml.ts'
import { digestOf } from './watch.ts'
import type { WrittenKeys } from './written.ts'
import { checkWso2 } from './wso2-rules.ts'

/** Read where no file is named. */
export const DEFAULT_FILE = '/etc/micro-gw-authz/micro-gw.conf'
const LARGEST_FILE_BYTES = 4 * 1024 * 1024

export interface LoadOptions {
  /** Undefined: the default file, which may be absent. */
  readonly file: string | undefined
  readonly env: Environment
  /** By key path, such as `log.level`. */
  readonly flags?: Readonly<Record<string, string>>
}

/** Reads everything at once, synchronously; never throws. All problems come together, errors first. */
export function loadConfig(options: LoadOptions): Loaded {
  const { loaded } = loadSettings(options)
  return loaded
}

/** The same with the effective values by key, for `check-config --wso2`; undefined where the file cannot be read. */
export function loadSettings(options: LoadOptions): {
  readonly loaded: Loaded
  readonly settings: Settings | undefined
} {
  const report = createReport()
  const files = new Set<string>()
  const document = readDocument(options.file, files, report)
  if (document === undefined) return { loaded: failure(report, files), settings: undefined }
  const layers = [document.written, readEnvironment(options.env, report), readFlags(options.flags ?? {}, report)]
  const settings = readSettings(layers, options.env, report, (path) => files.add(path), document.lineOf)
  const config = readConfig(settings, report)
  checkWso2(settings, document.tables, report)
  if (report.failed) return { loaded: failure(report, files), settings }
  return {
    loaded: Object.freeze({
      ok: true,
      config: deepFreeze(config),
      problems: report.problems(),
      files: Object.freeze([...files]),
      content: digestOf([...files]),
      effective: () => ({ file: options.file ?? DEFAULT_FILE, values: effectiveValues(settings, config) }),
    }),
    settings,
  }
}

/** Of environment, flags and defaults alone, whatever is wrong with them: for a file that cannot be read. */
export function settingsWithoutFile({ env, flags = {} }: LoadOptions, report: Report): Settings {
  const layers = [readEnvironment(env, report), readFlags(flags, report)]
  return readSettings(
    layers,
    env,
    report,
    () => undefined,
    () => undefined,
  )
}

function failure(report: Report, files: ReadonlySet<string>): Loaded {
  return Object.freeze({ ok: false, problems: report.problems(), files: Object.freeze([...files]) })
}

interface ReadDocument {
  readonly written: WrittenKeys
  /** Lower-cased names of the top-level tables. */
  readonly tables: ReadonlySet<string>
  readonly lineOf: (key: string) => number | undefined
}

function readDocument(file: string | undefined, files: Set<string>, report: Report): ReadDocument | undefined {
  const path = file ?? DEFAULT_FILE
  files.add(path)
  const nothing: ReadDocument = { written: new Map(), tables: new Set(), lineOf: () => undefined }
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (error) {
    const problem = readingProblem(error)
    if (file === undefined && problem === 'does not exist') {
      report.notice(
        '',
        `There is no ${DEFAULT_FILE}: the environment alone configures this sidecar. Name another file with --config.`,
      )
      return nothing
    }
    report.error('', `The configuration file ${problem}. Name a readable file with --config.`)
    return undefined
  }
  const text = bytes.length > LARGEST_FILE_BYTES ? undefined : decodeUtf8(bytes)
  if (text === undefined || text.includes('\0')) {
    report.error('', 'The configuration file is not TOML text in UTF-8 (or longer than 4 MiB). Is it the right file?')
    return undefined
  }
  if (text.replace(/^\uFEFF/, '').trim() === '') report.warning('', 'The configuration file is empty.')
  const document = parseToml(text, report)
  if (document === undefined) return undefined
  return {
    written: readTables(document, report),
    tables: new Set(Object.keys(document.root).map((name) => name.toLowerCase())),
    lineOf: (key) => lineIn(document.lines, key),
  }
}

function readConfig(settings: Settings, report: Report): Config {
  const credentials = readCredentials(settings, report)
  const level = settings.text('log.level')
  return {
    extAuthz: readExtAuthz(settings, report),
    admin: readAdmin(settings, report),
    keyManager: readKeyManager(settings, report),
    caching: readCaching(settings, report),
    credentials,
    ...readUpstreamHeaders(settings, credentials.header, report),
    metadata: readMetadata(settings, report),
    log: {
      level: level === 'debug' || level === 'warn' || level === 'error' ? level : 'info',
      allow: settings.isOn('log.allow'),
      maxDenyPerSecond: settings.integer('log.maxDenyPerSecond'),
    },
    policy: readPolicy(settings, report),
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || value instanceof Secret || Object.isFrozen(value)) return value
  for (const member of Object.values(value)) deepFreeze(member)
  return Object.freeze(value)
}
