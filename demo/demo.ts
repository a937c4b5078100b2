/**
 * The main job on embedded defaults: a real authorization server, the sidecar, and requests that are let through or
 * refused because the key manager said so. `--once` plays the story and exits with 0 or 1.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { startApp } from '../src/app.ts'
import { startAuthorizationServer } from './authorization-server.ts'
import type { Knock, Seen } from './door.ts'
import { openDoor } from './open-door.ts'

const GATEWAY = { id: 'gateway', secret: 'gateway-secret' }
/** How long the demo remembers an active answer: short, so that a revocation is seen. */
const CACHED_LIFE_MS = 2000

const say = (text: string): void => console.log(text)
const masked = (token: string | undefined): string => (token === undefined ? 'none' : `${token.slice(0, 4)}...`)

const once = process.argv.includes('--once')
const dir = mkdtempSync(join(tmpdir(), 'micro-gw-demo-'))
const server = await startAuthorizationServer(GATEWAY)

const conf = `[extAuthz]
  listen = "127.0.0.1:0"                 # 9001 in real life
[admin]
  listen = "127.0.0.1:0"                 # 9797
  localListen = "127.0.0.1:0"            # 9798
[keyManager]
  external = true
  introspectUrl = "${server.introspectUrl}"
[keymanager.security.basic]
  enabled = true
  username = "${GATEWAY.id}"
  password = "@file:{${join(dir, 'secret')}}"
[caching]
  tokenCacheExpiryTime = "${CACHED_LIFE_MS}ms"   # 15m by default; short, to see a revocation
[policy]
  requiredClaims = ["token_type"]        # this server answers a refresh token as active, without token_type
[[policy.rules]]
  name = "orders-write"
  methods = ["POST"]
  paths = ["/orders/*"]
  requiredScopes = ["orders:write"]
`
const configFile = join(dir, 'micro-gw.conf')
writeFileSync(join(dir, 'secret'), GATEWAY.secret, { mode: 0o600 })
writeFileSync(configFile, conf)

say('micro-gw-authz demo: a real authorization server (oidc-provider) and the sidecar, in this process.\n')
say(`micro-gw.conf:\n${conf.replace(/^/gm, '  | ')}`)

const logs: string[] = []
const app = await startApp({ configFile, env: {}, writeLog: (line) => void logs.push(line) })
const address = app.addresses.extAuthz[0] ?? ''
const door = await openDoor(address, say)
say(`Requests go through: ${door.name}\n`)

let failures = 0

/** One step of the story: what is sent, what came back, and whether that is what should. */
async function step(title: string, knock: Knock, expected: { status: number; fault?: number }): Promise<Seen> {
  const seen = await door.knock(knock)
  const right = seen.status === expected.status && (expected.fault === undefined || seen.faultCode === expected.fault)
  if (!right) failures += 1
  say(`${right ? 'ok  ' : 'FAIL'} ${title}`)
  say(`     ${knock.method} ${knock.path}, token: ${masked(knock.token)}  ->  ${seen.status}`)
  if (seen.faultCode !== undefined) say(`     fault code ${seen.faultCode}`)
  if (seen.challenge !== undefined) say(`     WWW-Authenticate: ${seen.challenge}`)
  if (seen.retryAfter !== undefined) say(`     Retry-After: ${seen.retryAfter}`)
  for (const [name, value] of Object.entries(seen.upstream)) say(`     upstream got ${name}: ${value}`)
  if (!right)
    say(`     expected ${expected.status}${expected.fault === undefined ? '' : ` with fault ${expected.fault}`}`)
  return seen
}

const read = (token: string | undefined): Knock => ({ method: 'GET', path: '/orders/7', token })
const write = (token: string | undefined): Knock => ({ method: 'POST', path: '/orders/7', token })

const good = await server.accessToken('orders:read orders:write')
const reader = await server.accessToken('orders:read')
const doomed = await server.accessToken('orders:read')
const late = await server.accessToken('orders:read')

await step('without a token', read(undefined), { status: 401, fault: 900902 })
await step('a good token, never seen before: the key manager is asked', write(good), { status: 200 })
await step('the same token again: answered from memory', write(good), { status: 200 })
await step('garbage', read('not-a-token-of-anybody'), { status: 401, fault: 900901 })
await step('a refresh token instead of an access token', read(await server.refreshToken()), {
  status: 403,
  fault: 900908,
})
await step('a token short of scope', write(reader), { status: 403, fault: 900910 })

await step('a token that is about to be revoked', read(doomed), { status: 200 })
await server.revoke(doomed)
say(`     (revoked; remembered for ${CACHED_LIFE_MS} ms at most: waiting that long)`)
await wait(CACHED_LIFE_MS + 100)
await step('the revoked token after its remembered life', read(doomed), { status: 401, fault: 900901 })

await step('a good token, remembered once more', write(good), { status: 200 })
await server.pause()
say('     (the key manager is stopped)')
await step('the remembered token passes while the key manager is down', write(good), { status: 200 })
await step('a token never seen before cannot be judged', read(late), { status: 503, fault: 900900 })
await server.resume()
say('     (the key manager is back)')
await wait(1100)
await step('and that token passes now', read(late), { status: 200 })

say(failures === 0 ? '\nEvery step went as it should.' : `\n${failures} steps went wrong.`)

async function close(): Promise<void> {
  await door.close()
  await app.stop()
  await server.close()
  rmSync(dir, { recursive: true, force: true })
}

if (once) {
  await close()
  process.exitCode = failures === 0 ? 0 : 1
} else {
  say(`
Still running until Ctrl-C:
  ext_authz gRPC     ${address}
  metrics, probes    http://${app.addresses.admin}
  status page        http://${app.addresses.localAdmin ?? ''}
  authorization srv  ${server.introspectUrl}
Try:${door.url === undefined ? '' : `\n  curl -i ${door.url}/orders/7                                   (401)\n  curl -i -H 'authorization: Bearer ${await server.accessToken('orders:read')}' ${door.url}/orders/7   (200)`}
  curl -s http://${app.addresses.localAdmin ?? ''}/decisions
  curl -s http://${app.addresses.admin}/metrics | grep microgw_checks_total`)
  const keepAlive = setInterval(() => {}, 60_000)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      clearInterval(keepAlive)
      void close().then(() => process.exit(0))
    })
  }
}
