/**
 * The main job on embedded defaults: a real authorization server, the sidecar, and requests that are let through or
 * refused because the key manager said so. `--once` plays the story and exits with 0 or 1.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startApp } from '../src/app.ts'
import { startAuthorizationServer } from './authorization-server.ts'
import { openDoor, provideEnvoy } from './open-door.ts'
import { play } from './story.ts'

const GATEWAY = { id: 'gateway', secret: 'gateway-secret' }
/** How long the demo remembers an active answer: short, so that a revocation is seen. */
const CACHED_LIFE_MS = 2000

const say = (text: string): void => console.log(text)
const once = process.argv.includes('--once')

/** Undone in reverse order, whichever way the demo ends. */
const cleanUps: (() => Promise<void> | void)[] = []
async function close(): Promise<void> {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
}
const leave = (): void => void close().finally(() => process.exit(once ? 1 : 0))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, leave)
// npm's shell does not pass signals on: a parent that is gone means stop.
const parent = process.ppid
setInterval(() => {
  if (process.ppid !== parent) leave()
}, 500).unref()

say('micro-gw-authz demo: a real authorization server (oidc-provider) and the sidecar, in this process.\n')

try {
  const envoy = provideEnvoy(say)
  const dir = mkdtempSync(join(tmpdir(), 'micro-gw-demo-'))
  cleanUps.push(() => rmSync(dir, { recursive: true, force: true }))
  const server = await startAuthorizationServer(GATEWAY)
  cleanUps.push(() => server.close())

  const conf = writeConfiguration(dir, server.introspectUrl)
  say(`micro-gw.conf:\n${conf.text.replace(/^/gm, '  | ')}`)

  let lastDecision: { reason: string; cache: string } | undefined
  const app = await startApp({
    configFile: conf.file,
    env: {},
    writeLog: (line) => {
      const read: unknown = JSON.parse(line)
      const { event, reason, cache } = Object(read)
      if (event === 'decision') lastDecision = { reason: String(reason), cache: String(cache) }
    },
  })
  cleanUps.push(() => app.stop())
  const address = app.addresses.extAuthz[0] ?? ''
  const localAdmin = app.addresses.localAdmin ?? ''
  const door = await openDoor(address, envoy, say)
  cleanUps.push(() => door.close())
  say(`Requests go through: ${door.name}\n`)

  const wrong = await play({ server, door, cachedLifeMs: CACHED_LIFE_MS, lastDecision: () => lastDecision, say })
  say(wrong === 0 ? '\nEvery step went as it should.' : `\n${wrong} steps went wrong.`)

  if (once) {
    await close()
    process.exitCode = wrong === 0 ? 0 : 1
  } else {
    // In a file, for this user alone: tokens are never printed, and arguments show in the process list.
    const header = join(dir, 'good-token')
    writeFileSync(header, `authorization: Bearer ${await server.accessToken('orders:read')}\n`, { mode: 0o600 })
    const knocks =
      door.url === undefined
        ? [`node_modules/.bin/node src/cli.ts check --address ${address} --path /orders/7 --header @${header}`]
        : [`curl -i ${door.url}/orders/7`, `curl -i -H @${header} ${door.url}/orders/7`]
    say(`
Still running until Ctrl-C (the token below is good for five minutes):
  ${door.url === undefined ? '' : `Envoy              ${door.url}\n  `}ext_authz gRPC     ${address}
  metrics, probes    http://${app.addresses.admin}
  status page        http://${localAdmin}
  key manager        ${server.introspectUrl}
Try:
${[...knocks, `curl -s http://${localAdmin}/decisions`, `curl -s http://${app.addresses.admin}/metrics`].map((line) => `  ${line}`).join('\n')}`)
    // The servers hold the process; standard input is never read, so that it may be absent.
  }
} catch (error) {
  await close()
  throw error
}

function writeConfiguration(dir: string, introspectUrl: string): { readonly file: string; readonly text: string } {
  const secret = join(dir, 'secret')
  const file = join(dir, 'micro-gw.conf')
  const text = `[extAuthz]
  listen = "127.0.0.1:0"                 # 9001 in real life
[admin]
  listen = "127.0.0.1:0"                 # 9797
  localListen = "127.0.0.1:0"            # 9798
[keyManager]
  external = true
  introspectUrl = "${introspectUrl}"
[keymanager.security.basic]
  enabled = true
  username = "${GATEWAY.id}"
  password = "@file:{${secret}}"
[caching]
  tokenCacheExpiryTime = "${CACHED_LIFE_MS}ms"        # 15m by default; short, to see a revocation
[log]
  allow = true                           # a decision line for allows too: the story reads them
[policy]
  requiredClaims = ["token_type"]        # this server answers a refresh token as active, without token_type
[[policy.rules]]
  name = "orders-write"
  methods = ["POST"]
  paths = ["/orders/*"]
  requiredScopes = ["orders:write"]
`
  writeFileSync(secret, GATEWAY.secret, { mode: 0o600 })
  writeFileSync(file, text)
  return { file, text }
}
