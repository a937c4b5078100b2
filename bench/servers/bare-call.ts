/** undici's Pool as it is under the product's introspections, and nothing else: the answer is not even put together. */
import { Pool } from 'undici'

/** As many as the product has by default (`keyManager.maxInFlight`). */
export const CONNECTIONS = 64

export interface BareClient {
  /** One POST with a token made of this number; rejects where there is no answer. */
  call(number: number): Promise<void>
  close(): Promise<void>
}

export function createBareClient(url: string): BareClient {
  const { origin, pathname } = new URL(url)
  const pool = new Pool(origin, { connections: CONNECTIONS, pipelining: 1 })
  const headers = {
    accept: 'application/json',
    'accept-encoding': 'identity',
    'content-type': 'application/x-www-form-urlencoded',
    authorization: `Basic ${Buffer.from('gateway:gateway-secret').toString('base64')}`,
  }
  return {
    call: (number) =>
      new Promise((resolve, reject) => {
        pool.dispatch(
          { path: pathname, method: 'POST', headers, body: `token=${String(number).padStart(43, '0')}` },
          {
            onRequestStart() {},
            onResponseStart() {},
            onResponseData() {},
            onResponseEnd: () => resolve(),
            onResponseError: (_controller, error) => reject(error),
          },
        )
      }),
    close: () => pool.close(),
  }
}
