import { expect } from 'chai'
import { describe, it } from 'mocha'
import { visibleJson } from '../../../src/telemetry/visible-json.ts'

describe('JSON for a terminal', () => {
  it('escapes what moves the cursor or turns the text around, and means the same', () => {
    const value = { path: '/a\u009b2J\u202eb\u2066c\u2028d\u007fe\u{e0041}f', name: 'Zoë 東京 🙂', line: 'one\ntwo' }
    const json = visibleJson(JSON.stringify(value))
    expect(JSON.parse(json)).to.deep.equal(value)
    expect(json).to.not.match(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
    expect(json).to.include('\\u009b2J\\u202eb').and.include('Zoë 東京 🙂')
  })
})
