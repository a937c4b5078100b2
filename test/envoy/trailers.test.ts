/** Managed headers as request trailers: what docs/security.md says of them, and the filter it gives. */
import { readFileSync } from 'node:fs'
import { connect, createServer, type IncomingHttpHeaders } from 'node:http2'
import { expect } from 'chai'
import { load } from 'js-yaml'
import { after, before, describe, it } from 'mocha'
import { inSeconds } from '../support/pair.ts'
import { startDeployed } from './deployed.ts'
import { envoyOrSkip, VERSIONS } from './traffic.ts'

const TYPE = 'type.googleapis.com/envoy.extensions'
const HTTP = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
const SECURITY = new URL('../../docs/security.md', import.meta.url)

interface Bootstrap {
  readonly static_resources: {
    readonly listeners: readonly {
      readonly filter_chains: readonly { readonly filters: readonly { readonly typed_config: Manager }[] }[]
    }[]
    readonly clusters: readonly { readonly name: string }[]
  }
}
interface Manager {
  readonly http_filters: object[]
}

/** tcp.yaml with an upstream that speaks HTTP/2, and the filter of docs/security.md where asked for. */
function changed(text: string, port: number, isFiltered: boolean): string {
  const bootstrap = load(text) as Bootstrap
  const { listeners, clusters } = bootstrap.static_resources
  Object.assign(clusters.find(({ name }) => name === 'upstream') ?? {}, {
    typed_extension_protocol_options: {
      [HTTP]: { '@type': `type.googleapis.com/${HTTP}`, explicit_http_config: { http2_protocol_options: {} } },
    },
    load_assignment: {
      cluster_name: 'upstream',
      endpoints: [
        {
          lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } }],
        },
      ],
    },
  })
  if (isFiltered) {
    const [, given = ''] = /`(mutations: \{ request_trailers.*?)`/.exec(readFileSync(SECURITY, 'utf8')) ?? []
    listeners[0]?.filter_chains[0]?.filters[0]?.typed_config.http_filters.unshift({
      name: 'envoy.filters.http.header_mutation',
      typed_config: { '@type': `${TYPE}.filters.http.header_mutation.v3.HeaderMutation`, ...Object(load(given)) },
    })
  }
  return JSON.stringify(bootstrap)
}

for (const version of VERSIONS) {
  describe(`request trailers to an HTTP/2 upstream, Envoy ${version}`, function () {
    this.timeout(60_000)
    const upstream = createServer()
    let port = 0
    let headers: IncomingHttpHeaders = {}
    let trailers: IncomingHttpHeaders = {}

    before(async () => {
      upstream.on('stream', (stream, received) => {
        headers = received
        trailers = {}
        stream.on('trailers', (last) => {
          trailers = { ...last }
        })
        stream.on('end', () => stream.respond({ ':status': 200 }, { endStream: true })).resume()
      })
      await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
      port = Object(upstream.address()).port
    })
    after(() => upstream.close())

    for (const isFiltered of [false, true]) {
      it(
        isFiltered ? 'the filter of docs/security.md drops ours, and no others' : 'pass as they are',
        async function () {
          const running = await startDeployed(envoyOrSkip(version, this), 'tcp.yaml', {
            change: (text) => changed(text, port, isFiltered),
          })
          try {
            running.keyManager.tokens.set('good', { active: true, sub: 'alice', exp: inSeconds(300) })
            expect(await post(running.places.port, { 'x-auth-subject': 'evil', 'x-checksum': '1' })).to.equal(200)
            expect(headers['x-auth-subject']).to.equal('alice')
            expect(trailers['x-checksum']).to.equal('1')
            expect(trailers['x-auth-subject']).to.equal(isFiltered ? undefined : 'evil')
          } finally {
            await running.close()
          }
        },
      )
    }
  })
}

/** The status of a POST that ends with trailers. */
function post(port: number, trailers: Readonly<Record<string, string>>): Promise<number> {
  const session = connect(`http://127.0.0.1:${port}`)
  return new Promise<number>((resolve, reject) => {
    const stream = session.request(
      { ':method': 'POST', ':path': '/x', ':authority': 'api.example.com', authorization: 'Bearer good' },
      { waitForTrailers: true },
    )
    stream.on('wantTrailers', () => stream.sendTrailers(trailers))
    stream.on('response', (answer) => resolve(Number(answer[':status']))).on('error', reject)
    stream.end('a')
  }).finally(() => session.destroy())
}
