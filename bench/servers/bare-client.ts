/**
 * The bare HTTP client under the product's introspections by itself: one POST after another on each of its connections.
 * Arguments: URL of `/introspect`, number of calls to warm up with, number of calls.
 * Writes its CPU time for each call, microseconds.
 */
import { CONNECTIONS, createBareClient } from './bare-call.ts'

const [url = '', warmUp = '0', count = '0'] = process.argv.slice(2)
const client = createBareClient(url)

async function calls(total: number, from: number): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    for (let index = next++; index < total; index = next++) await client.call(from + index)
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, worker))
}

await calls(Number(warmUp), 0)
const before = process.cpuUsage()
await calls(Number(count), Number(warmUp))
const { user, system } = process.cpuUsage(before)
process.stdout.write(`${JSON.stringify({ cpuMicrosEach: (user + system) / Number(count) })}\n`)
await client.close()
