/** A V8 CPU profile as tables: which functions, and which parts of the program, the time went to. Pure. */

export interface CallFrame {
  readonly functionName: string
  readonly url: string
  readonly lineNumber: number
}

interface ProfileNode {
  readonly id: number
  readonly callFrame: CallFrame
}

export interface CpuProfile {
  readonly nodes: readonly ProfileNode[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

export interface FunctionCost {
  readonly name: string
  /** `check-request.ts:42`, `node:internal/http2/core:2117`; empty for the engine itself. */
  readonly where: string
  readonly part: string
  readonly share: number
}

/** Self time, by function, the costliest first; idle time is left out. */
export function functionCosts(profile: CpuProfile): readonly FunctionCost[] {
  const frames = new Map(profile.nodes.map((node) => [node.id, node.callFrame]))
  const byFunction = new Map<string, { frame: CallFrame; micros: number }>()
  let total = 0
  for (const [index, id] of profile.samples.entries()) {
    const frame = frames.get(id)
    const micros = profile.timeDeltas[index] ?? 0
    if (frame === undefined || frame.functionName === '(idle)' || micros < 0) continue
    total += micros
    const key = `${frame.functionName} ${frame.url}:${frame.lineNumber}`
    const known = byFunction.get(key)
    if (known === undefined) byFunction.set(key, { frame, micros })
    else known.micros += micros
  }
  return [...byFunction.values()]
    .sort((a, b) => b.micros - a.micros)
    .map(({ frame, micros }) => ({
      name: frame.functionName === '' ? '(anonymous)' : frame.functionName,
      where: placeOf(frame),
      part: partOf(frame),
      share: micros / total,
    }))
}

/** Shares by file of this product's own. */
export function ownFileCosts(costs: readonly FunctionCost[]): readonly (readonly [file: string, share: number])[] {
  const byFile = new Map<string, number>()
  for (const { part, where, share } of costs) {
    if (!part.startsWith('this product')) continue
    const file = where.slice(0, where.lastIndexOf(':'))
    byFile.set(file, (byFile.get(file) ?? 0) + share)
  }
  return [...byFile].sort((a, b) => b[1] - a[1])
}

/** Shares by part: this product, grpc-js, Node's own JavaScript, the engine. */
export function partCosts(costs: readonly FunctionCost[]): readonly (readonly [part: string, share: number])[] {
  const byPart = new Map<string, number>()
  for (const { part, share } of costs) byPart.set(part, (byPart.get(part) ?? 0) + share)
  return [...byPart].sort((a, b) => b[1] - a[1])
}

/** `check-request.ts:42`; empty for the engine itself. */
export function placeOf({ url, lineNumber }: CallFrame): string {
  if (url === '') return ''
  const short = url.startsWith('node:') ? url : url.slice(url.lastIndexOf('/') + 1)
  return `${short}:${lineNumber + 1}`
}

/** This product by folder, a package, Node's own JavaScript by what it is for, the engine. */
export function partOf({ url, functionName }: CallFrame): string {
  if (url.includes('/@grpc/grpc-js/')) return 'grpc-js'
  if (url.includes('/node_modules/')) return /\/node_modules\/([^/]+)/.exec(url)?.[1] ?? 'packages'
  const own = /\/(?:src|dist)\/(?:(\w+)\/)?/.exec(url)
  if (own !== null) return `this product, ${own[1] ?? 'src'}/`
  if (url.startsWith('node:internal/http2')) return 'node:http2, JavaScript'
  if (/^node:(?:internal\/)?(?:streams|stream|events)/.test(url)) return 'node streams and events'
  if (url.startsWith('node:')) return 'other JavaScript of Node'
  return functionName === '(garbage collector)' ? 'garbage collection' : 'native code (HTTP/2, sockets, hashing, maps)'
}
