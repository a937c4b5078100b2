/** What the files of deploy/ ask for and say of memory is what docs/operations.md measured and advises. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { SCHEMA } from '../../src/config/schema.ts'
import { every } from '../support/config-dump.ts'
import { at, readResources } from '../support/crds.ts'
import { ROOT } from './kubernetes-rendered.ts'

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const FILES = globSync('deploy/{kubernetes,helm,istio,envoy-gateway}/**/*.{yaml,md}', { cwd: ROOT }).sort()
const RESOURCES = FILES.filter((file) => file.endsWith('.yaml') && !/\/(?:templates|ci)\//.test(file))

/** A figure of the table in "Sizing". */
function figure(symbol: string): number {
  const [, text = ''] = new RegExp(`^\\| \`${symbol}\` \\| ([\\d.,]+) \\|`, 'm').exec(read('docs/operations.md')) ?? []
  return Number(text.replaceAll(',', ''))
}

const capacity = (path: string): number => Number(SCHEMA.find((row) => row.path === path)?.default)

describe('memory', () => {
  it('the figures in deploy/ are those of "Sizing"', () => {
    const said = FILES.flatMap((file) =>
      [...read(file).matchAll(/([\d.,]+) (MB|kB|us) ?/g)].map(([, number, unit]) => `${number} ${unit}`),
    )
    const [MB, kB, us] = [figure('F'), (figure('B') / 1000).toFixed(1), Math.round(figure('H'))]
    expect([...new Set(said)].sort()).to.deep.equal([`${MB} MB`, `${kB} kB`, `${us} us`].sort())
  })

  it('each request is enough for the capacities by default, and the limit is not below it', () => {
    const tokens = capacity('caching.tokenCacheCapacity') + capacity('caching.inactiveCapacity')
    const needed = 1.25 * (figure('F') * 1e6 + figure('B') * (tokens - 10_000))
    const found = RESOURCES.flatMap((file) =>
      every(readResources(read(file)), (object) =>
        String(object['image']).startsWith('micro-gw-authz:') || file.endsWith('micro-gw-authz/values.yaml')
          ? object['resources']
          : undefined,
      ).map((resources) => ({ file, resources })),
    )
    expect(found.map(({ file }) => file)).to.deep.equal([
      'deploy/envoy-gateway/sidecar.yaml',
      'deploy/helm/micro-gw-authz/values.yaml',
      'deploy/istio/loopback.yaml',
      'deploy/istio/socket.yaml',
      'deploy/kubernetes/components/sidecar/sidecar.yaml',
      'deploy/kubernetes/overlays/standalone/deployment.yaml',
    ])
    for (const { file, resources } of found) {
      const bytes = (kind: string): number =>
        Number(/^(\d+)Mi$/.exec(String(at(resources, kind, 'memory')))?.[1]) * 2 ** 20
      expect(bytes('requests'), file).to.be.at.least(needed)
      expect(bytes('limits'), file).to.be.at.least(bytes('requests'))
    }
  })
})
