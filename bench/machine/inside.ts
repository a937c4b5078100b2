/** Looks into a running sidecar through its inspector: memory after a forced collection, the event loop's stalls. */
import { connectInspector } from './inspector.ts'

export interface Inside {
  /** Heap and array buffers in use after a forced collection, bytes. */
  liveBytes(): Promise<number>
  /** The longest the event loop was held up since the last call, ms; the sampling itself adds about 1 ms. */
  longestStallMs(): Promise<number>
  close(): void
}

const WATCH = `globalThis.benchStalls = process.getBuiltinModule('perf_hooks').monitorEventLoopDelay({ resolution: 1 });
benchStalls.enable()`

export async function lookInside(inspectorPort: number): Promise<Inside> {
  const inspector = await connectInspector(inspectorPort)
  const evaluate = async (expression: string): Promise<number> => {
    const answer = await inspector.call('Runtime.evaluate', { expression, returnByValue: true })
    return Number(Object(Object(answer).result).value)
  }
  await evaluate(WATCH)
  return {
    async liveBytes() {
      for (let pass = 0; pass < 3; pass += 1) await inspector.call('HeapProfiler.collectGarbage')
      const live = await evaluate('(({ heapUsed, arrayBuffers }) => heapUsed + arrayBuffers)(process.memoryUsage())')
      // The forced collections are no stall of the product's.
      await evaluate('benchStalls.reset()')
      return live
    },
    longestStallMs: async () =>
      (await evaluate('(({ max }) => { benchStalls.reset(); return max })(benchStalls)')) / 1e6,
    close: () => inspector.close(),
  }
}
