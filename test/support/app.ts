/** The real app on a configuration text, in a folder of its own; ports are free ones unless the text says otherwise. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type App, startApp } from '../../src/app.ts'
import type { Clock } from '../../src/authz/ports.ts'

export interface TestApp {
  readonly app: App
  /** Every log line so far. */
  readonly logs: string[]
  readonly dir: string
  readonly configFile: string
  /** Replaces the configuration text; call `app.reload()` after. */
  rewrite(toml: string): void
  close(): Promise<void>
}

const FREE_PORTS = {
  'extAuthz.listen': '127.0.0.1:0',
  'admin.listen': '127.0.0.1:0',
  'admin.localListen': '127.0.0.1:0',
}

/** `ports: false` leaves the listeners to the text. */
export async function startTestApp(
  toml: string,
  options: {
    readonly env?: Record<string, string>
    readonly clock?: Clock
    readonly flags?: Record<string, string>
    readonly ports?: boolean
  } = {},
): Promise<TestApp> {
  const dir = mkdtempSync(join(tmpdir(), 'micro-gw-'))
  const configFile = join(dir, 'micro-gw.conf')
  writeFileSync(configFile, toml)
  const logs: string[] = []
  try {
    const app = await startApp({
      configFile,
      env: options.env ?? {},
      flags: { ...(options.ports === false ? {} : FREE_PORTS), ...options.flags },
      writeLog: (line) => void logs.push(line),
      ...(options.clock === undefined ? {} : { clock: options.clock }),
    })
    return {
      app,
      logs,
      dir,
      configFile,
      rewrite: (text) => writeFileSync(configFile, text),
      async close() {
        await app.stop()
        rmSync(dir, { recursive: true, force: true })
      },
    }
  } catch (error) {
    rmSync(dir, { recursive: true, force: true })
    throw error
  }
}

/** The smallest configuration that introspects at `url` with basic credentials. */
export function basicConfig(url: string, more = ''): string {
  return `
[keyManager]
external = true
introspectUrl = "${url}"
[keymanager.security.basic]
enabled = true
username = "gateway"
password = "gateway-secret"
${more}
`
}
