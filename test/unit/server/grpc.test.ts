import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect as connectHttp2, constants } from 'node:http2'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ChannelCredentials } from '@grpc/grpc-js'
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import type { Authorizer, Cancellation, Decision } from '../../../src/authz/ports.ts'
import type { Pipeline } from '../../../src/server/pipeline.ts'
import { makeCertificates } from '../../support/certificates.ts'
import { type CheckClient, connectChecks, decodeReply, encodeCheck, httpCheck } from '../../support/check-client.ts'
import { ALLOWED, denied, fakePipeline, serverParts } from '../../support/fake-pipeline.ts'

const LOOPBACK = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const
const PLAIN = { socketMode: 0o660, tls: undefined }

describe('the ext_authz server', () => {
  let pipeline: Pipeline
  let parts: ReturnType<typeof serverParts>
  let client: CheckClient
  let address: string

  const decideBy = (authorize: Authorizer['authorize'], overrides?: Partial<Pipeline>): void => {
    pipeline = fakePipeline(authorize, overrides)
  }

  beforeEach(async () => {
    decideBy(() => ALLOWED)
    parts = serverParts(() => pipeline)
    address = await parts.server.bind(LOOPBACK, PLAIN)
    client = connectChecks(address)
  })

  afterEach(async () => {
    client.close()
    await parts.server.stop()
  })

  const metricLine = async (start: string): Promise<string | undefined> =>
    (await parts.metrics.exposition()).body.split('\n').find((line) => line.startsWith(start))

  it('allows where the authorizer does, and counts it once', async () => {
    const reply = await client.check(httpCheck())
    expect(reply.ok_response?.headers?.[0]?.header?.value).to.equal('alice')
    expect(await metricLine('microgw_checks_total{decision="allow",reason="allowed"}')).to.match(/ 1$/)
    expect(await metricLine('microgw_check_duration_seconds_count{cache="hit"}')).to.match(/ 1$/)
    expect(parts.lines.join('')).not.to.contain('"decision"')
  })

  it('denies where the authorizer does, with one line and one ring entry under the reply’s decision id', async () => {
    decideBy(() => denied('inactive_token'))
    const reply = await client.check(httpCheck({ path: '/a?access_token=canary', headers: { 'x-request-id': 'r-1' } }))
    expect(reply.status?.code).to.equal(16)
    const { decision_id } = reply.dynamic_metadata?.fields ?? {}
    const id = decision_id?.stringValue
    await nextTurn()
    const line: unknown = JSON.parse(parts.lines.find((one) => one.includes('"decision"')) ?? '{}')
    expect(line).to.include({ decision_id: id, reason: 'inactive_token', path: '/a', request_id: 'r-1' })
    expect(parts.decisions.find(id ?? '')).to.include({ reason: 'inactive_token' })
    expect(parts.lines.join('')).not.to.contain('canary')
  })

  it('P01 E03 answers bytes that are no CheckRequest with a deny and gRPC status 0', async () => {
    pipeline = fakePipeline((check) => (check.form === 'malformed' ? denied('malformed_request') : ALLOWED))
    const reply = decodeReply(await client.raw(Buffer.from([0xff, 0xff, 0xff])))
    expect(reply.status?.code).to.equal(3)
  })

  it('P01 answers an empty message', async () => {
    pipeline = fakePipeline((check) => denied(check.form === 'not_http' ? 'not_http' : 'internal_error'))
    expect(decodeReply(await client.raw(Buffer.alloc(0))).status?.code).to.equal(7)
  })

  it('takes a message of 5 MiB and, past 16 MiB, lives on', async () => {
    const big = (size: number) => encodeCheck(httpCheck({ headers: { 'x-big': 'a'.repeat(size) } }))
    expect(decodeReply(await client.raw(big(5 * 1024 * 1024))).ok_response).not.to.equal(undefined)
    const refused = await client.raw(big(17 * 1024 * 1024)).catch((error: { code: number }) => error.code)
    expect(refused).to.equal(8)
    expect((await client.check(httpCheck())).ok_response).not.to.equal(undefined)
  })

  const boom = (): never => {
    throw new Error('canary-token in a foreign text')
  }
  const failures: readonly [string, Pipeline][] = [
    ['the authorizer throws', fakePipeline(boom)],
    ['the authorizer rejects', fakePipeline(() => Promise.reject(new Error('canary-token')))],
    ['the authorizer rejects with nothing', fakePipeline(() => Promise.reject(undefined))],
    ['the decoder throws', fakePipeline(() => ALLOWED, { decode: boom })],
    ['the encoder throws', fakePipeline(() => ALLOWED, { encode: boom })],
    ['the encoder throws after a wait', fakePipeline(() => Promise.resolve(ALLOWED), { encode: boom })],
  ]
  for (const [name, broken] of failures) {
    it(`E01 F33 denies with internal_error when ${name}`, async () => {
      pipeline = broken
      const reply = await client.check(httpCheck())
      expect(reply.status?.code).to.equal(13)
      expect(reply.denied_response?.status?.code).to.equal('InternalServerError')
      expect(await metricLine('microgw_checks_total{decision="deny",reason="internal_error"}')).to.match(/ 1$/)
      expect(parts.lines.join('')).to.contain('check_failed').and.not.contain('canary')
    })
  }

  it('P10 hands on the deadline less the margin, or the own limit where that is nearer', async () => {
    const waits: number[] = []
    pipeline = fakePipeline((_check, untilMs) => {
      waits.push(untilMs - performance.now())
      return ALLOWED
    })
    await client.check(httpCheck(), { deadlineMs: 200 })
    await client.check(httpCheck(), { deadlineMs: 60_000 })
    await client.check(httpCheck())
    expect(waits[0]).to.be.within(100, 180)
    expect(waits[1]).to.be.within(1900, 2000)
    expect(waits[2]).to.be.within(1900, 2000)
  })

  it('E02 F28 never sends an allow that was decided after the deadline', async () => {
    const sent: Decision[] = []
    pipeline = fakePipeline(
      () => {
        const endAtMs = performance.now() + 150
        while (performance.now() < endAtMs);
        return ALLOWED
      },
      {
        encode: (decision, id) => {
          sent.push(decision)
          return fakePipeline(() => ALLOWED).encode(decision, id)
        },
      },
    )
    await client.check(httpCheck(), { deadlineMs: 100 }).catch(() => undefined)
    await nextTurn()
    expect(sent.at(-1)).to.include({ allow: false, reason: 'key_manager_unavailable' })
    expect(await metricLine('microgw_checks_total{decision="allow",reason="allowed"}')).to.match(/ 0$/)
  })

  it('E15 tells the waiter when Envoy cancels, and never counts an allow for it', async () => {
    const arrived = Promise.withResolvers<Cancellation>()
    const decided = Promise.withResolvers<Decision>()
    pipeline = fakePipeline((_check, _until, cancellation) => {
      arrived.resolve(cancellation)
      return decided.promise
    })
    const { call, reply } = client.start(httpCheck())
    const outcome = reply.catch((error: { code: number }) => error.code)
    const cancellation = await arrived.promise
    expect(parts.server.inFlight()).to.equal(1)
    const told = new Promise<void>((resolve) => {
      cancellation.whenCancelled = resolve
    })
    call.cancel()
    await told
    expect(cancellation.cancelled).to.equal(true)
    decided.resolve(ALLOWED)
    expect(await outcome).to.equal(1)
    await nextTurn()
    expect(parts.server.inFlight()).to.equal(0)
    expect(await metricLine('microgw_checks_total{decision="allow",reason="allowed"}')).to.match(/ 0$/)
  })

  it('counts an error where error_response is sent', async () => {
    pipeline = fakePipeline(() => denied('overloaded'), { unavailable: 'error' })
    await client.check(httpCheck())
    expect(await metricLine('microgw_checks_total{decision="error",reason="overloaded"}')).to.match(/ 1$/)
  })

  it('F26 drains: finishes what is in flight, takes nothing new', async () => {
    const arrived = Promise.withResolvers<void>()
    const decided = Promise.withResolvers<Decision>()
    pipeline = fakePipeline(() => {
      arrived.resolve()
      return decided.promise
    })
    const reply = client.check(httpCheck())
    await arrived.promise
    const drained = parts.server.drain(5000)
    decided.resolve(ALLOWED)
    expect((await reply).ok_response).not.to.equal(undefined)
    await drained
    const late = connectChecks(address)
    const outcome = await late.check(httpCheck(), { deadlineMs: 2000 }).catch((error: { code: number }) => error.code)
    late.close()
    expect(outcome).to.equal(14)
  })

  it('F26 denies a Check that is stuck when drainTimeout is over', async () => {
    const arrived = Promise.withResolvers<void>()
    pipeline = fakePipeline(() => {
      arrived.resolve()
      return new Promise(() => {})
    })
    const reply = client.check(httpCheck())
    await arrived.promise
    // The injected timer does not hold the process; this one does.
    const hold = setTimeout(() => {}, 5000)
    await parts.server.drain(30)
    clearTimeout(hold)
    expect((await reply).status?.code).to.equal(14)
  })

  it('F34 survives streams that are opened and reset, and frames that are none', async () => {
    const session = connectHttp2(`http://${address}`)
    session.on('error', () => {})
    for (let stream = 0; stream < 500 && !session.closed; stream += 1) {
      const opened = session.request({
        ':method': 'POST',
        ':path': '/envoy.service.auth.v3.Authorization/Check',
        'content-type': 'application/grpc',
        te: 'trailers',
      })
      opened.on('error', () => {})
      opened.close(constants.NGHTTP2_CANCEL)
    }
    session.destroy()
    expect((await client.check(httpCheck())).ok_response).not.to.equal(undefined)
  })

  it('warns where the port is open to others without client certificates', async () => {
    await parts.server.bind({ kind: 'tcp', host: '0.0.0.0', port: 0 }, PLAIN)
    expect(parts.lines.join('')).to.contain('ext_authz_open_port')
  })

  it('names the address that is taken', async () => {
    const port = Number(address.split(':')[1])
    const failure = await serverParts(() => pipeline)
      .server.bind({ ...LOOPBACK, port }, PLAIN)
      .catch((error: Error) => error.message)
    expect(failure).to.equal(`cannot listen on ${address}: EADDRINUSE`)
  })

  describe('on a Unix socket', () => {
    let directory: string
    let path: string
    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), 'socket-'))
      path = join(directory, 'authz.sock')
    })
    afterEach(() => rmSync(directory, { recursive: true }))

    it('serves with the mode asked for, and removes the file at the end', async () => {
      const bound = await parts.server.bind({ kind: 'unix', path }, PLAIN)
      expect(bound).to.equal(`unix:${path}`)
      expect(statSync(path).mode & 0o777).to.equal(0o660)
      const over = connectChecks(bound)
      expect((await over.check(httpCheck())).ok_response).not.to.equal(undefined)
      over.close()
      await parts.server.drain(1000)
      expect(existsSync(path)).to.equal(false)
    })

    it('refuses a socket on which somebody answers', async () => {
      const other = createServer().listen(path)
      await new Promise((resolve) => other.once('listening', resolve))
      const failure = await parts.server.bind({ kind: 'unix', path }, PLAIN).catch((error: Error) => error.message)
      other.close()
      expect(failure).to.equal(`cannot listen on unix:${path}: another process listens there`)
    })

    it('refuses a file that is no socket', async () => {
      writeFileSync(path, 'mine')
      const failure = await parts.server.bind({ kind: 'unix', path }, PLAIN).catch((error: Error) => error.message)
      expect(failure).to.contain('is not a socket')
      expect(readFileSync(path, 'utf8')).to.equal('mine')
    })
  })

  it('speaks TLS, requires client certificates where a CA is set, and takes renewed ones', async () => {
    const files = makeCertificates()
    const others = makeCertificates()
    try {
      const pem = (name: string) => readFileSync(name)
      const tls = { cert: pem(files.serverCertFile), key: pem(files.serverKeyFile), clientCa: pem(files.caFile) }
      const secure = await parts.server.bind(LOOPBACK, { socketMode: 0o660, tls })
      const ask = async (by: typeof files, withCertificate: boolean): Promise<unknown> => {
        const credentials = withCertificate
          ? ChannelCredentials.createSsl(pem(by.caFile), pem(by.clientKeyFile), pem(by.clientCertFile))
          : ChannelCredentials.createSsl(pem(by.caFile))
        const over = connectChecks(secure, { credentials })
        try {
          return (await over.check(httpCheck(), { deadlineMs: 3000 })).status?.code ?? 0
        } catch {
          return 'refused'
        } finally {
          over.close()
        }
      }
      expect(await ask(files, true)).to.equal(0)
      expect(await ask(files, false)).to.equal('refused')
      expect(await ask(others, true)).to.equal('refused')
      const renewed = { cert: pem(others.serverCertFile), key: pem(others.serverKeyFile), clientCa: pem(others.caFile) }
      parts.server.renewTls(renewed)
      expect(await ask(others, true)).to.equal(0)
      expect(await ask(files, true)).to.equal('refused')
    } finally {
      files.remove()
      others.remove()
    }
  })
})
