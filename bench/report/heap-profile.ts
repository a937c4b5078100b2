/** V8's sampled allocations as bytes a call, by function. Pure. */
import { type CallFrame, partOf, placeOf } from './cpu-profile.ts'

export interface AllocationNode {
  readonly callFrame: CallFrame
  readonly selfSize: number
  readonly children: readonly AllocationNode[]
}

export interface FunctionAllocations {
  readonly name: string
  readonly where: string
  readonly part: string
  readonly bytesEach: number
}

/** What each function itself allocated, for each of `calls`, the most first. */
export function functionAllocations(head: AllocationNode, calls: number): readonly FunctionAllocations[] {
  const byFunction = new Map<string, { frame: CallFrame; bytes: number }>()
  const nodes = [head]
  for (const { callFrame, selfSize, children } of nodes) {
    nodes.push(...children)
    const key = `${callFrame.functionName} ${callFrame.url}:${callFrame.lineNumber}`
    const known = byFunction.get(key)
    if (known === undefined) byFunction.set(key, { frame: callFrame, bytes: selfSize })
    else known.bytes += selfSize
  }
  return [...byFunction.values()]
    .filter(({ bytes }) => bytes > 0)
    .sort((a, b) => b.bytes - a.bytes)
    .map(({ frame, bytes }) => ({
      name: frame.functionName === '' ? '(anonymous)' : frame.functionName,
      where: placeOf(frame),
      part: partOf(frame),
      bytesEach: bytes / calls,
    }))
}
