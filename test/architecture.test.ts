/** Imports point down, the domain imports nothing, each foreign library has one door. */
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { describe, it } from 'mocha'

const SRC = fileURLToPath(new URL('../src/', import.meta.url))
const LAYERS = [
  'cli.ts',
  'commands',
  'app.ts',
  'single.ts',
  'workers',
  'check-service.ts',
  'graph.ts',
  'server',
  'envoy',
  'authz',
  'cache',
  'keymanager',
  'net',
  'telemetry',
  'config',
  'clock.ts',
]

interface Edge {
  readonly from: string
  readonly to: string
  readonly isTypeOnly: boolean
}

function edges(): readonly Edge[] {
  return globSync('**/*.ts', { cwd: SRC }).flatMap((from) => {
    const text = readFileSync(join(SRC, from), 'utf8')
    const statics = [...text.matchAll(/^(?:import|export)\s+(type\s)?[^'"]*?from\s+'([^']+)'/gm)].map(
      ([, type, to]) => ({ type, to }),
    )
    const others = [...text.matchAll(/(?:^import\s+|import\()'([^']+)'/gm)].map(([, to]) => ({ type: undefined, to }))
    return [...statics, ...others].map(({ type, to = '' }) => ({
      from,
      to: to.startsWith('.') ? normalize(join(dirname(from), to)) : to,
      isTypeOnly: type !== undefined,
    }))
  })
}

const layerOf = (file: string): number => LAYERS.indexOf(file.split('/')[0] ?? '')
const isOurs = (edge: Edge): boolean => layerOf(edge.to) >= 0
const show = (edge: Edge): string => `${edge.from} -> ${edge.to}`
const usersOf = (name: string): string[] => [
  ...new Set(
    edges()
      .filter((edge) => edge.to === name || edge.to.startsWith(`${name}/`))
      .map((edge) => edge.from),
  ),
]

describe('architecture', () => {
  it('every import points down or stays in its folder', () => {
    const wrong = edges()
      .filter(isOurs)
      .filter((edge) => edge.from !== 'app.ts' && !(edge.isTypeOnly && edge.to === 'authz/ports.ts'))
      .filter((edge) => layerOf(edge.to) < layerOf(edge.from))
    expect(wrong.map(show)).to.deep.equal([])
    expect(edges().length).to.be.greaterThan(100)
  })

  it('authz/ imports nothing but its own files', () => {
    const wrong = edges().filter((edge) => edge.from.startsWith('authz/') && !edge.to.startsWith('authz/'))
    expect(wrong.map(show)).to.deep.equal([])
  })

  it('each foreign library has its folder or file', () => {
    expect(usersOf('got')).to.deep.equal(['net/http.ts'])
    expect(usersOf('prom-client')).to.deep.equal(['telemetry/metrics.ts'])
    expect(usersOf('@opentelemetry/api')).to.deep.equal(['telemetry/trace.ts'])
    expect(usersOf('pino')).to.deep.equal(['telemetry/log.ts'])
    expect(usersOf('keyv').every((file) => file.startsWith('cache/'))).to.equal(true)
    expect(usersOf('undici').every((file) => file.startsWith('net/'))).to.equal(true)
  })
})
