/**
 * The bare HTTP client under the product's introspections by itself: one POST after another on each of its connections.
 * Arguments: URL of `/introspect`. `GET /N` makes N calls and answers with their CPU time each, microseconds.
 */
import { createServer } from 'node:http'
import { announce } from './announce.ts'
import { CONNECTIONS, createBareClient } from './bare-call.ts'

const [url = ''] = process.argv.slice(2)
const client = createBareClient(url)
let next = 0

async function microsOf(count: number): Promise<number> {
  const end = next + count
  const worker = async (): Promise<void> => {
    while (next < end) await client.call(next++)
  }
  const before = process.cpuUsage()
  await Promise.all(Array.from({ length: CONNECTIONS }, worker))
  const { user, system } = process.cpuUsage(before)
  return (user + system) / count
}

const server = createServer((request, response) => {
  microsOf(Number(request.url?.slice(1))).then(
    (micros) => response.end(JSON.stringify(micros)),
    (error: Error) => response.destroy(error),
  )
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address !== 'string') announce(address.port)
})
