/** What the product's own /metrics holds, and what a PromQL expression asks for: rules and dashboard are compared with it. */
import { readFileSync } from 'node:fs'
import { basicConfig, startTestApp } from '../support/app.ts'

/** Metric name -> label name -> values seen. */
export type Exposition = ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>>

export interface Selector {
  readonly metric: string
  readonly matchers: readonly { readonly label: string; readonly operator: string; readonly value: string }[]
}

/** Added by Prometheus from the target, not by us. */
const TARGET_LABELS = new Set(['job', 'instance', 'namespace', 'pod'])

/** Prometheus makes these itself. */
const FOREIGN = new Set(['up', 'ALERTS'])

/** Starts the real app, scrapes it once and stops it. */
export async function scrapeProduct(): Promise<Exposition> {
  const running = await startTestApp(basicConfig('http://127.0.0.1:1/introspect', '[keyManager.breaker]\nfailures = 5'))
  try {
    const text = await (await fetch(`http://${running.app.addresses.admin}/metrics`)).text()
    return withLaterValues(readExposition(text))
  } finally {
    await running.close()
  }
}

export function readExposition(text: string): Exposition {
  const metrics = new Map<string, Map<string, Set<string>>>()
  for (const line of text.split('\n')) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$/.exec(line)
    if (match === null) continue
    const [, name = '', labels = ''] = match
    const known = metrics.get(name) ?? new Map<string, Set<string>>()
    metrics.set(name, known)
    for (const [, label = '', value = ''] of labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      known.set(label, (known.get(label) ?? new Set()).add(value))
    }
  }
  return metrics
}

/** Cache results other than the memory's appear with their first operation: the closed sets stand in the port's type. */
function withLaterValues(seen: Exposition): Exposition {
  const ports = readFileSync(new URL('../../src/authz/ports.ts', import.meta.url), 'utf8')
  const signature = /cacheOperation\(([\s\S]*?)\): void/.exec(ports)?.[1] ?? ''
  const closed = new Map(
    [...signature.matchAll(/^\s*(\w+): (.*),$/gm)].map(([, label = '', union = '']) => [
      label,
      new Set([...union.matchAll(/'(\w+)'/g)].map(([, value = '']) => value)),
    ]),
  )
  if (closed.size !== 3)
    throw new Error('cacheOperation of src/authz/ports.ts is not written as it was: mend this reader')
  return new Map([...seen, ['microgw_cache_operations_total', closed]])
}

/** Every series an expression selects. Strings hold no metric names, so that they are taken out before the bare ones. */
export function selectorsOf(expression: string): readonly Selector[] {
  const named = [...expression.matchAll(/([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}/g)].map(([, metric = '', inside = '']) => ({
    metric,
    matchers: [...inside.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"/g)].map(
      ([, label = '', operator = '', value = '']) => ({ label, operator, value }),
    ),
  }))
  const rest = expression.replace(/\{[^}]*\}/g, '{}').replace(/"[^"]*"/g, '""')
  const bare = [...rest.matchAll(/\b((?:microgw|nodejs|process)[_:][\w:]*)(?![\w:]|\s*\{)/g)].map(
    ([, metric = '']) => ({
      metric,
      matchers: [],
    }),
  )
  return [...named, ...bare]
}

/** What an expression asks for that the product does not have. `recorded`: names the rules make. */
export function unknownIn(expression: string, product: Exposition, recorded: ReadonlySet<string>): readonly string[] {
  return selectorsOf(expression).flatMap(({ metric, matchers }) => {
    if (FOREIGN.has(metric) || recorded.has(metric)) return []
    const labels = product.get(metric)
    if (labels === undefined) return [`${metric}: no such metric`]
    return matchers.flatMap(({ label, operator, value }) => {
      if (TARGET_LABELS.has(label)) return []
      const known = labels.get(label)
      if (known === undefined) return [`${metric}: no label ${label}`]
      const values = operator.includes('~') ? value.split('|') : [value]
      return values.filter((one) => !known.has(one)).map((one) => `${metric}: ${label} is never "${one}"`)
    })
  })
}
