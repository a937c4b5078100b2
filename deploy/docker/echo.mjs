/** The API behind Envoy in docker-compose.yml: answers with what arrived, so that one sees what the sidecar did to a request. */
import { createServer } from 'node:http'

const [host, port] = (process.argv[2] ?? '0.0.0.0:8081').split(':')

const server = createServer((request, response) => {
  request.resume()
  const { method, url: path, headers } = request
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(`${JSON.stringify({ method, path, headers }, null, 2)}\n`)
})
server.listen(Number(port), host)
// As process 1 of a container it gets no default action for signals.
process.once('SIGTERM', () => server.close())
