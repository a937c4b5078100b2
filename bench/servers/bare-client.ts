/**
 * The bare HTTP client under the product's introspections: undici's Pool, one POST after another on `CONCURRENCY` of
 * its connections, nothing else. Arguments: URL of `/introspect`, number of calls to warm up with, number of calls.
 * Writes its CPU time for each call, microseconds.
 */
import { Pool } from 'undici'

const CONCURRENCY = 64

const [url = '', warmUp = '0', count = '0'] = process.argv.slice(2)
const { origin, pathname } = new URL(url)
const pool = new Pool(origin, { connections: CONCURRENCY, pipelining: 1 })
const authorization = `Basic ${Buffer.from('gateway:gateway-secret').toString('base64')}`
const headers = {
  accept: 'application/json',
  'accept-encoding': 'identity',
  'content-type': 'application/x-www-form-urlencoded',
  authorization,
}

function call(index: number): Promise<void> {
  const body = `token=${String(index).padStart(43, '0')}`
  return new Promise((resolve, reject) => {
    pool.dispatch(
      { path: pathname, method: 'POST', headers, body },
      {
        onRequestStart() {},
        onResponseStart() {},
        onResponseData() {},
        onResponseEnd: () => resolve(),
        onResponseError: (_controller, error) => reject(error),
      },
    )
  })
}

async function calls(total: number, from: number): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    for (let index = next++; index < total; index = next++) await call(from + index)
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, worker))
}

await calls(Number(warmUp), 0)
const before = process.cpuUsage()
await calls(Number(count), Number(warmUp))
const { user, system } = process.cpuUsage(before)
process.stdout.write(`${JSON.stringify({ cpuMicrosEach: (user + system) / Number(count) })}\n`)
await pool.close()
