import { expect } from 'chai'
import { describe, it } from 'mocha'
import { workerEnvironment, workerFlags } from '../../../src/workers/environment.ts'

describe('the environment of a worker', () => {
  it('holds what Node, the C library and a tracing module read', () => {
    const env = {
      PATH: '/bin',
      NODE_OPTIONS: '--import file:///otel.mjs',
      NODE_EXTRA_CA_CERTS: '/ca.pem',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
      MALLOC_ARENA_MAX: '1',
      UV_THREADPOOL_SIZE: '8',
      LD_PRELOAD: '/usr/lib/libjemalloc.so.2',
      SSL_CERT_DIR: '/certs',
      TZ: 'UTC',
      LC_ALL: 'C.UTF-8',
      no_proxy: '.local',
      HTTPS_PROXY: 'http://proxy:3128',
    }
    expect(workerEnvironment(env)).to.deep.equal(env)
  })

  it('holds no secret that the configuration may name, and nothing that sets a key', () => {
    const env = {
      OWN_CLIENT_SECRET: 'a',
      MICRO_GW_AUTHZ_CIPHER_SECRET: 'b',
      KEYMANAGER_SECURITY_OAUTH2_PASSWORD_PASSWORD: 'c',
      extAuthz_listen: ':9191',
      PATH_SECRET: 'd',
      TZ_: 'e',
      MY_NODE_OPTIONS: 'f',
    }
    expect(workerEnvironment(env)).to.deep.equal({})
  })

  it('comes back by no file of variables, and no debugger with it', () => {
    const flags = [
      '--env-file=a',
      '--max-semi-space-size=8',
      '--env-file',
      'b',
      '--env-file-if-exists',
      'c',
      '--inspect',
    ]
    expect(workerFlags(flags).filter((flag) => !flag.startsWith('--no-inspect'))).to.deep.equal([
      '--max-semi-space-size=8',
      '--inspect',
      '--inspect-port=0',
    ])
  })
})
