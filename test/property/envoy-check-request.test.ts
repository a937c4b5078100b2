import { expect } from 'chai'
import fc from 'fast-check'
import { describe, it } from 'mocha'
import { createCheckDecoder } from '../../src/envoy/check-request.ts'
import { encodeRequest } from '../unit/envoy/samples.ts'

const decode = createCheckDecoder({ credentialsHeader: 'authorization' })
const words = fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => text.toWellFormed())
const names = fc.oneof(
  fc.constantFrom('authorization', 'x-request-id', 'origin', 'x'),
  fc.stringMatching(/^[a-z0-9-]{1,20}$/),
)
const dictionary = (key: fc.Arbitrary<string>) => fc.dictionary(key, words, { maxKeys: 12, noNullPrototype: true })
const request = fc.record({
  method: words,
  path: words,
  host: words,
  headers: dictionary(names),
  context: dictionary(words),
})

describe('envoy/check-request, by chance', () => {
  it('reads every CheckRequest that the loader writes alike', () => {
    fc.assert(
      fc.property(request, (sample) => {
        const view = decode(encodeRequest(sample))
        expect(view).to.include({ form: 'http', method: sample.method, path: sample.path, host: sample.host })
        expect(Object.fromEntries(view.contextExtensions())).to.deep.equal(sample.context)
        for (const [name, value] of Object.entries(sample.headers)) expect(view.header(name)).to.equal(value)
        const { authorization: credentials } = sample.headers
        const bytes = credentials === undefined ? undefined : Buffer.from(credentials, 'utf8').toString('latin1')
        expect(view.credentials).to.equal(bytes)
        expect(view.credentialsCount).to.equal(credentials === undefined ? 0 : 1)
      }),
      { numRuns: 500 },
    )
  })

  it('E07 reads every raw header byte by byte', () => {
    const raw = fc.array(
      fc.tuple(
        names,
        fc.uint8Array({ minLength: 1, maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
      ),
      {
        maxLength: 10,
      },
    )
    fc.assert(
      fc.property(raw, (rawHeaders) => {
        // Without one raw header there is no header_map, and `headers` is read.
        const view = decode(encodeRequest({ rawHeaders }))
        const credentials = rawHeaders.filter(([name]) => name === 'authorization')
        expect(view.credentialsCount).to.equal(credentials.length)
        expect(view.credentials).to.equal(credentials.at(-1)?.[1].toString('latin1'))
      }),
      { numRuns: 300 },
    )
  })

  it('F36 answers any garbage with a view', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const view = decode(bytes)
        expect(view.form).to.be.oneOf(['http', 'not_http', 'malformed'])
        view.header('authorization')
        view.contextExtensions()
      }),
      { numRuns: 3000 },
    )
  })

  it('F36 answers a valid message with bytes overwritten, or cut, with a view', () => {
    const bytes = encodeRequest({ headers: { authorization: 'Bearer abcdef', 'x-a': 'b' }, context: { a: 'b' } })
    const edits = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(edits, fc.nat(bytes.length), (changes, length) => {
        const edited = Buffer.from(bytes)
        for (const [at, value] of changes) edited[at] = value
        const view = decode(edited.subarray(0, length))
        view.header('x-a')
        view.contextExtensions()
        expect(view.credentialsCount).to.be.at.most(2)
      }),
      { numRuns: 3000 },
    )
  })
})
