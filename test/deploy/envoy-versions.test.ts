/** Every release that docs/envoy.md lists takes every file of deploy/envoy/, and lets one request through and one not. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { type Context, describe, it } from 'mocha'
import { ENVOY_VERSION, findEnvoy, validateEnvoy } from '../../scripts/envoy.ts'
import { COMPOSE_FILE, type EnvoyFile, PAIRS, readDeployed, startDeployed } from '../envoy/deployed.ts'
import { send } from '../envoy/traffic.ts'
import { inSeconds } from '../support/pair.ts'

const read = (path: string): string => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8')

/** `| 1.36.4 | ...` of the table. */
const LISTED = [...read('docs/envoy.md').matchAll(/^\| (\d+\.\d+\.\d+) \|/gm)].map(([, version]) => version ?? '')

function needEnvoy(version: string, context: Context): string {
  const binary = findEnvoy(version)
  if (binary !== undefined) return binary
  const reason = `Envoy ${version} is not installed: run .ci/tools/envoy-versions.sh`
  if (process.env['CI'] === 'true') throw new Error(reason)
  console.log(`      skipped: ${reason}`)
  return context.skip()
}

describe('Envoy releases', function () {
  this.timeout(60_000)

  it('that are installed are those of the table in docs/envoy.md', () => {
    const installed = /^for version in (.+); do$/m.exec(read('.ci/tools/envoy-versions.sh'))?.[1]?.split(' ') ?? []
    expect([...installed, ENVOY_VERSION].sort()).to.deep.equal([...LISTED].sort())
  })

  for (const version of LISTED) {
    it(`${version} takes deploy/envoy/${COMPOSE_FILE}`, function () {
      const { ok, output } = validateEnvoy(needEnvoy(version, this), readDeployed(COMPOSE_FILE))
      expect(ok, output).to.equal(true)
    })

    for (const file of Object.keys(PAIRS) as EnvoyFile[]) {
      it(`${version} runs deploy/envoy/${file}`, async function () {
        const running = await startDeployed(needEnvoy(version, this), file)
        try {
          running.keyManager.tokens.set('good', { active: true, sub: 'alice', exp: inSeconds(300) })
          expect((await send(running.places.port, ['authorization', 'Bearer good'])).status).to.equal(200)
          expect((await send(running.places.port, ['authorization', 'Bearer bad'])).status).to.equal(401)
        } finally {
          await running.close()
        }
      })
    }
  }
})
