import { expect } from 'chai'
import fc from 'fast-check'
import { describe, it } from 'mocha'
import { scanJson } from '../../../src/keymanager/json-scan.ts'

describe('json scan', () => {
  it('F10 visits each character at most once, whatever the text', () => {
    const piece = fc.constantFrom('{', '}', '[', ']', '"', '\\', ',', ':', 'active', '\\u0061', '1', ' ')
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join('')),
        (text) => {
          expect(scanJson(text).visited).to.be.at.most(text.length)
        },
      ),
    )
  })
  it('F10 stops 30,000 brackets at the thirty-third', () => {
    expect(scanJson('['.repeat(30_000))).to.deep.equal({ problem: 'nested too deeply', visited: 33 })
  })
  it('lets pass what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        expect(scanJson(JSON.stringify(value)).problem).to.equal(undefined)
      }),
    )
  })
  it('sees a name whose every character is escaped', () => {
    const escaped = [...'client_id'].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
    expect(scanJson(`{"client_id":1,"${escaped}":2}`).problem).to.equal('a repeated member')
  })
  it('does not take a value for a name', () => {
    expect(scanJson('{"a":"active","b":"active","active":true}').problem).to.equal(undefined)
  })
})
