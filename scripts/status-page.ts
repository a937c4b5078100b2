/**
 * Makes docs/images/status-page.png: the status page of a real sidecar after some traffic, in a real Chromium.
 * `node scripts/status-page.ts [FILE] [WIDTH] [light|dark] [whole]`; whole: the keys that are set are unfolded
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startApp } from '../src/app.ts'
import { connectChecks, httpCheck } from '../test/support/check-client.ts'
import { startChromium } from '../test/support/chromium.ts'
import { startKeyManager } from '../test/support/key-manager.ts'
import { findTool } from '../test/support/tool.ts'

const [file = 'docs/images/status-page.png', width = '820', scheme = 'light', whole] = process.argv.slice(2)
const isWhole = whole === 'whole'
const root = dirname(dirname(fileURLToPath(import.meta.url)))
const program = findTool('chromium')
if (program === undefined) throw new Error('chromium is not installed: run .ci/tools/chromium.sh')

const POLICY = `
[keyManager]
external = true
introspectUrl = "INTROSPECT"

[keymanager.security.oauth2]
enabled = true
tokenUrl = "TOKEN"
credentialBearer = "AUTH_HEADER_BEARER"
[keymanager.security.oauth2.clientCredential]
enabled = true
clientId = "gateway"
clientSecret = "@env:{GATEWAY_SECRET}"
scopes = "introspection"

[[policy.rules]]
name = "orders-write"
methods = ["POST"]
paths = ["/orders/*"]
requiredScopes = ["orders:write"]
`

const folder = mkdtempSync(join(tmpdir(), 'micro-gw-status-'))
const configFile = join(folder, 'micro-gw.conf')
const keyManager = await startKeyManager()
const introspect = keyManager.url
const tokenUrl = new URL('/oauth2/token', introspect).href
process.chdir(folder)
writeFileSync(configFile, POLICY.replace('INTROSPECT', introspect).replace('TOKEN', tokenUrl))
const good = (scope: string) => ({
  active: true,
  client_id: 'shop',
  sub: 'ada',
  scope,
  exp: Math.ceil(Date.now() / 1000) + 3600,
})
const tokens = new Map<string, object>()
for (let n = 0; n < 260; n += 1) tokens.set(`shop-${n}`, good(n % 9 === 0 ? 'orders:read' : 'orders:read orders:write'))
keyManager.answer((request) =>
  request.path.endsWith('/token')
    ? { body: { access_token: 'own', token_type: 'Bearer', expires_in: 3600 } }
    : request.form.get('token') === 'slow'
      ? { status: 502, body: 'upstream' }
      : { body: tokens.get(request.form.get('token') ?? '') ?? { active: false } },
)

const app = await startApp({
  configFile: 'micro-gw.conf',
  env: { GATEWAY_SECRET: 'secret', log_level: 'error' },
  flags: { 'extAuthz.listen': '127.0.0.1:0', 'admin.listen': '127.0.0.1:0', 'admin.localListen': '127.0.0.1:0' },
  writeLog: () => undefined,
})
const checks = connectChecks(app.addresses.extAuthz[0] ?? '')
const browser = await startChromium(program)
try {
  const ask = (token: string | undefined, method: string, path: string) =>
    checks.check(httpCheck({ method, path, headers: token === undefined ? {} : { authorization: `Bearer ${token}` } }))
  await ask('slow', 'GET', '/orders/17')
  for (let round = 0; round < 30; round += 1) {
    await Promise.all([...tokens.keys()].slice(0, 20 + round * 8).map((token, n) => ask(token, 'GET', `/orders/${n}`)))
  }
  await ask('gone', 'GET', '/orders/4711')
  await ask('shop-9', 'POST', '/orders/4713')

  const page = await browser.newPage()
  await page.prefer(scheme === 'dark' ? 'dark' : 'light')
  await page.resize(Number(width), 800)
  await page.open(`http://${app.addresses.localAdmin}/`)
  if (isWhole) await page.evaluate('document.querySelector("details").open = true')
  const height = Number(await page.evaluate('Math.ceil(document.documentElement.getBoundingClientRect().height)'))
  mkdirSync(dirname(join(root, file)), { recursive: true })
  const png = await page.screenshot(Number(width), height)
  writeFileSync(file.startsWith('/') ? file : join(root, file), png)
  console.log(`${file}: ${width} x ${height}, ${Math.ceil(png.length / 1024)} KiB`)
} finally {
  await browser.close()
  checks.close()
  await app.stop()
  await keyManager.close()
  rmSync(folder, { recursive: true, force: true })
}
