/**
 * A key manager to which every token is active: about 450 bytes of JSON, after a delay.
 * Argument: the delay, ms. `GET /figures` tells how many introspections and connections there were.
 */
import { createServer, type ServerResponse } from 'node:http'
import { announce } from './announce.ts'

const delayMs = Number(process.argv[2] ?? '0')
const figures = { introspections: 0, connections: 0 }

/** Different for every token: an answer is remembered with claims of its own. */
function answerFor(token: string): string {
  const now = Math.floor(Date.now() / 1000)
  return JSON.stringify({
    active: true,
    sub: `user-${token.slice(0, 24)}`,
    username: `${token.slice(0, 12)}@shop.example.com`,
    client_id: 'storefront',
    scope: 'openid profile email orders:read orders:write',
    iss: 'https://login.example.com/realms/shop',
    aud: ['orders-api', 'account'],
    exp: now + 3600,
    iat: now,
    nbf: now,
    jti: token,
    token_type: 'Bearer',
    realm_access: { roles: ['customer', 'offline_access', 'uma_authorization'] },
  })
}

const send = (response: ServerResponse, body: string): void => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
  response.end(body)
}

const server = createServer((request, response) => {
  if (request.url === '/figures') {
    request.resume()
    send(response, JSON.stringify(figures))
    return
  }
  figures.introspections += 1
  let body = ''
  request.setEncoding('latin1').on('data', (chunk: string) => {
    body += chunk
  })
  request.on('end', () => {
    const answer = answerFor(new URLSearchParams(body).get('token') ?? '')
    if (delayMs === 0) send(response, answer)
    else setTimeout(send, delayMs, response, answer)
  })
})
server.on('connection', () => {
  figures.connections += 1
})
// A server that closes idle connections in the middle of a run would measure itself.
server.keepAliveTimeout = 120_000
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address !== 'string') announce(address.port)
})
