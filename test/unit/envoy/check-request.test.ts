import { expect } from 'chai'
import { describe, it } from 'mocha'
import { createCheckDecoder } from '../../../src/envoy/check-request.ts'
import { encodeObject, encodeRequest } from './samples.ts'

const decode = createCheckDecoder({ credentialsHeader: 'authorization' })

/** A length-delimited field by hand, for what no writer writes. */
function field(number: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  if (body.length > 127) throw new Error('too long for one length byte')
  return Buffer.concat([Buffer.from([number * 8 + 2, body.length]), body])
}
const word = (number: number, value: string): Buffer => field(number, Buffer.from(value, 'latin1'))
const header = (name: string, value: string): Buffer => field(3, word(1, name), word(2, value))
const request = (...http: readonly Buffer[]): Buffer => field(1, field(4, field(2, ...http)))

describe('envoy/check-request', () => {
  it('reads method, path, host, credentials and context of a request', () => {
    const view = decode(
      encodeRequest({
        method: 'POST',
        path: '/a%2Fb?c=d',
        host: 'api.example.com:8443',
        headers: { ':method': 'POST', authorization: 'Bearer abc', 'x-request-id': 'r1' },
        context: { required_scopes: 'a b' },
      }),
    )
    expect(view).to.include({ form: 'http', method: 'POST', path: '/a%2Fb?c=d', host: 'api.example.com:8443' })
    expect(view).to.include({ credentials: 'Bearer abc', credentialsCount: 1 })
    expect([...view.contextExtensions()]).to.deep.equal([['required_scopes', 'a b']])
    expect(view.header('x-request-id')).to.equal('r1')
    expect(view.header('x-absent')).to.equal(undefined)
  })

  it('F24 finds malformed what is framed wrongly, at whichever level: never a request without credentials', () => {
    const inRequest = (bytes: Buffer): Buffer => field(1, field(4, bytes))
    const inHttp = (bytes: Buffer): Buffer => inRequest(field(2, bytes))
    const LEVELS: Readonly<Record<string, readonly [number, (bytes: Buffer) => Buffer]>> = {
      attributes: [1, (bytes) => bytes],
      request: [4, (bytes) => field(1, bytes)],
      'context extensions': [10, (bytes) => field(1, bytes)],
      http: [2, inRequest],
      method: [2, inHttp],
      headers: [3, inHttp],
      path: [4, inHttp],
      host: [5, inHttp],
      'header map': [13, inHttp],
      'name of a header': [1, (bytes) => inHttp(field(3, bytes))],
      'value of a header': [2, (bytes) => inHttp(field(3, bytes))],
    }
    for (const [name, [number, within]] of Object.entries(LEVELS)) {
      const whole = field(number)
      expect(decode(within(whole)).form, `${name}, empty`).to.not.equal('malformed')
      // A varint in its place, and a length that goes beyond what is around it.
      for (const bytes of [Buffer.from([number * 8, 0]), Buffer.from([number * 8 + 2, 1])])
        expect(decode(within(bytes)).form, `${name}: ${bytes.toString('hex')}`).to.equal('malformed')
    }
  })

  it('gives equal context keys for equal context and different ones for different context', () => {
    const key = (context: Record<string, string>) => decode(encodeRequest({ context })).contextKey
    expect(key({})).to.equal('')
    expect(key({ a: 'bc' })).to.equal(key({ a: 'bc' }))
    expect(key({ a: 'bc' })).not.to.equal(key({ ab: 'c' }))
  })

  it('finds the credentials header whatever the case of its name, and only that one', () => {
    expect(decode(request(header('AuthoriZation', 'Bearer x'))).credentials).to.equal('Bearer x')
    expect(decode(request(header('authorizatiom', 'Bearer x'))).credentials).to.equal(undefined)
    const other = createCheckDecoder({ credentialsHeader: 'x-token' })
    expect(other(request(header('authorization', 'Bearer a'), header('x-token', 'Bearer b'))).credentials).to.equal(
      'Bearer b',
    )
  })

  it('counts credentials that stand twice in the headers map', () => {
    const view = decode(request(header('authorization', 'Bearer a'), header('Authorization', 'Bearer b')))
    expect(view.credentialsCount).to.equal(2)
  })

  it('reads raw headers byte by byte and counts repeated credentials', () => {
    const view = decode(
      encodeRequest({
        rawHeaders: [
          ['authorization', Buffer.from([0x42, 0xff, 0x00, 0x41])],
          ['authorization', Buffer.from('Bearer b')],
          ['x-many', Buffer.from('a')],
          ['x-many', Buffer.from('b')],
        ],
      }),
    )
    expect(view).to.include({ credentials: 'Bearer b', credentialsCount: 2 })
    expect(view.header('x-many')).to.equal('a,b')
    const single = decode(encodeRequest({ rawHeaders: [['authorization', Buffer.from([0x42, 0xff, 0x00, 0x41])]] }))
    expect(single.credentials).to.equal('B\xff\x00A')
  })

  it('prefers raw_value to value, and header_map to headers', () => {
    const raw = field(13, field(1, word(1, 'authorization'), word(2, 'Bearer text'), word(3, 'Bearer raw')))
    const view = decode(request(header('authorization', 'Bearer map'), raw))
    expect(view).to.include({ credentials: 'Bearer raw', credentialsCount: 1 })
    const textOnly = decode(request(field(13, field(1, word(1, 'authorization'), word(2, 'Bearer text')))))
    expect(textOnly.credentials).to.equal('Bearer text')
    expect(decode(request(header('authorization', 'Bearer map'), field(13))).credentials).to.equal(undefined)
  })

  it('calls an empty message and one without HTTP attributes not_http', () => {
    expect(decode(Buffer.alloc(0)).form).to.equal('not_http')
    expect(decode(encodeObject({ attributes: { destination: { service: 'sni.example' } } })).form).to.equal('not_http')
    expect(decode(encodeObject({ attributes: { request: {} } })).form).to.equal('not_http')
  })

  it('merges a message that occurs twice', () => {
    const view = decode(
      Buffer.concat([
        field(
          1,
          field(4, field(2, word(2, 'GET'), word(4, '/first'), header('x-a', '1'))),
          field(10, word(1, 'a'), word(2, '1')),
        ),
        field(
          1,
          field(4, field(2, word(4, '/second'), header('authorization', 'Bearer t'))),
          field(10, word(1, 'b'), word(2, '2')),
        ),
      ]),
    )
    expect(view).to.include({ method: 'GET', path: '/second', credentials: 'Bearer t' })
    expect(view.header('x-a')).to.equal('1')
    expect([...view.contextExtensions()]).to.deep.equal([
      ['a', '1'],
      ['b', '2'],
    ])
  })

  it('reads a plain Uint8Array with an offset', () => {
    const bytes = encodeRequest({ headers: { authorization: 'Bearer abc' } })
    const wide = new Uint8Array(bytes.length + 7)
    wide.set(bytes, 7)
    expect(decode(wide.subarray(7)).credentials).to.equal('Bearer abc')
  })

  const malformed: Readonly<Record<string, Buffer>> = {
    'a field number of 0': Buffer.from([0x02, 0x00]),
    'a group': Buffer.from([0x0b, 0x0c]),
    'an unknown wire type': Buffer.from([0x0f]),
    'a length beyond the end': Buffer.from([0x0a, 0x05, 0x01]),
    'a length of 2^32': Buffer.from([0x0a, 0x80, 0x80, 0x80, 0x80, 0x10]),
    'a length of six bytes': Buffer.from([0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]),
    'a varint of eleven bytes': Buffer.from([0x10, ...Array<number>(10).fill(0x80), 0x00]),
    'a varint beyond 64 bits': Buffer.from([0x10, ...Array<number>(9).fill(0x80), 0x02]),
    'an unknown varint cut short': Buffer.from([0x10, 0x80]),
    'a fixed64 cut short': Buffer.from([0x11, 1, 2, 3]),
    'a fixed32 cut short': Buffer.from([0x15, 1, 2, 3]),
    'attributes as a varint': Buffer.from([0x08, 0x01]),
    'the method as a varint': request(Buffer.from([0x10, 0x01])),
    'a path that is not UTF-8': request(word(4, '/\xff')),
    'a method that is not UTF-8': request(word(2, '\xc3')),
    'a host that is not UTF-8': request(word(5, '\xed\xa0\x80')),
    'context that is not UTF-8': field(1, field(10, word(1, 'a'), word(2, '\xff'))),
    'an entry longer than its map': request(Buffer.from([0x1a, 0x02, 0x0a, 0x09])),
  }
  for (const [what, bytes] of Object.entries(malformed)) {
    it(`F36 calls ${what} malformed`, () => {
      const view = decode(bytes)
      expect(view).to.include({ form: 'malformed', credentials: undefined, contextKey: '' })
      expect(view.header('authorization')).to.equal(undefined)
    })
  }

  it('steps over unknown fields of every wire type', () => {
    const unknown = Buffer.from([0x78, 0xff, 0x01, 0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7a, 0x01, 0xff, 0x7d, 1, 2, 3, 4])
    const view = decode(Buffer.concat([unknown, field(1, unknown, field(4, field(2, unknown, word(2, 'PUT'))))]))
    expect(view).to.include({ form: 'http', method: 'PUT' })
  })

  it('F36 reads a message cut at any length as malformed, and at length 0 as not_http', () => {
    for (const bytes of [
      encodeRequest({ headers: { authorization: 'Bearer abcdef', 'x-a': 'b' }, context: { a: 'b' } }),
      encodeRequest({ rawHeaders: [['authorization', Buffer.from('Bearer abcdef')]] }),
    ]) {
      for (let length = 0; length < bytes.length; length += 1) {
        expect(decode(bytes.subarray(0, length)).form).to.equal(length === 0 ? 'not_http' : 'malformed')
      }
    }
  })
})
