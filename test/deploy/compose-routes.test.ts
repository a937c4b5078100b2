/** deploy/envoy/compose.yaml with deploy/docker/micro-gw.conf: what a route asks for, the spelling of the path does not undo. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { load } from 'js-yaml'
import { after, before, describe, it } from 'mocha'
import { ENVOY_VERSION } from '../../scripts/envoy.ts'
import { COMPOSE_FILE, readDeployed } from '../envoy/deployed.ts'
import { envoyOrSkip, send } from '../envoy/traffic.ts'
import { type GatewayPlaces, type RunningGateway, startGateway } from '../support/gateway.ts'
import { inSeconds } from '../support/pair.ts'
import { rewrite } from '../support/rewrite.ts'
import { neighbours, spellings } from '../support/spellings.ts'

const CONF = new URL('../../deploy/docker/micro-gw.conf', import.meta.url)
const bearer = (token: string): string[] => ['authorization', `Bearer ${token}`]

function bootstrap(places: GatewayPlaces): object {
  const text = rewrite(readDeployed(COMPOSE_FILE), {
    '0.0.0.0': '127.0.0.1',
    '10000': String(places.port),
    '9901': String(places.adminPort),
    'address: micro-gw-authz': 'address: 127.0.0.1',
    '9001': String(places.sidecarPort),
    'address: upstream': 'address: 127.0.0.1',
    '8081': String(places.upstreamPort),
  })
  return Object(load(text))
}

describe(`deploy/envoy/${COMPOSE_FILE} with deploy/docker/micro-gw.conf`, function () {
  this.timeout(120_000)
  let running: RunningGateway

  before(async function () {
    running = await startGateway({
      binary: envoyOrSkip(ENVOY_VERSION, this),
      conf: readFileSync(CONF, 'utf8'),
      confAddresses: ({ dir, keyManagerPort, sidecarPort }) => {
        writeFileSync(join(dir, 'keycloak-client'), 'gateway-secret\n')
        return {
          'http://keycloak:8080': `http://127.0.0.1:${keyManagerPort}`,
          '/run/secrets/keycloak-client': join(dir, 'keycloak-client'),
          '0.0.0.0:9001': `127.0.0.1:${sidecarPort}`,
        }
      },
      bootstrap,
    })
    const claims = { iss: 'http://localhost:8080/realms/shop', aud: 'gateway', exp: inSeconds(300) }
    const scope = 'orders:read orders:write'
    running.keyManager.tokens.set('app', { active: true, client_id: 'shop-app', scope, ...claims })
    running.keyManager.tokens.set('admin', { active: true, client_id: 'shop-admin', scope, ...claims })
    running.keyManager.tokens.set('scopeless', { active: true, client_id: 'shop-admin', ...claims })
  })
  after(() => running?.close())

  it('lets the client of the route in, and nobody else', async () => {
    expect((await send(running.port, bearer('admin'), '/admin/users')).status).to.equal(200)
    expect((await send(running.port, bearer('app'), '/')).status).to.equal(200)
  })

  for (const [folder, token] of [
    ['admin', 'app'],
    ['orders', 'scopeless'],
  ] as const) {
    for (const path of spellings(folder, '7')) {
      it(`refuses ${token} at ${path}`, async () => {
        expect((await send(running.port, bearer(token), path)).status).to.be.oneOf([400, 403])
      })
    }
    for (const path of neighbours(folder)) {
      it(`lets ${token} in at ${path}, which is not below /${folder}`, async () => {
        expect((await send(running.port, bearer(token), path)).status).to.equal(200)
      })
    }
  }
})
