import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { scanJson } from '../../src/keymanager/json-scan.ts'
import { inSeconds, type Pair, startPair } from '../support/pair.ts'
import { FIGURES } from './figures.ts'

const MOST_BYTES = 64 * 1024
const DEEP = `{"active":true,"a":${'['.repeat(30_000)}${']'.repeat(30_000)}}`

describe('F10 invalid JSON', () => {
  let pair: Pair
  afterEach(() => pair.close())

  for (const [name, body] of [
    ['truncated', '{"active":true'],
    ['30,000 deep', DEEP],
    ['active twice', '{"active":false,"active":true}'],
    ['active twice, escaped', '{"active":false,"\\u0061ctive":true}'],
    ['a string', '{"active":"true"}'],
    ['a list', '[{"active":true}]'],
    ['1e400', '{"active":true,"exp":1e400}'],
    ['nothing', ''],
  ] as const) {
    it(`denies and remembers nothing: ${name}`, async () => {
      pair = await startPair()
      pair.keyManager.answer({ headers: { 'content-type': 'application/json' }, body })
      expect((await pair.ask('Bearer odd')).reason).to.equal('key_manager_unavailable')
      pair.keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
      expect((await pair.ask('Bearer odd')).allowed).to.equal(true)
    })
  }
})

describe('F10 the look before the parser', () => {
  /** A text that notes which of its characters are looked at. */
  class WatchedText extends String {
    readonly looked: number[] = []
    override charCodeAt(index: number): number {
      this.looked.push(index)
      return super.charCodeAt(index)
    }
  }

  const fill = (piece: string): string => piece.repeat(Math.floor(MOST_BYTES / Buffer.byteLength(piece)))
  for (const [name, body] of [
    ['30,000 deep', DEEP],
    ['as many levels as are allowed, again and again', `{"a":[${fill('[[[[[[[[]]]]]]]],')}`],
    ['quotes', fill('"')],
    ['a string without end', `{"${fill('a')}`],
    ['strings without end, each escaped', `{${fill('"\\"')}`],
    ['backslashes', `{"${fill('\\')}`],
    ['commas', `{${fill(',')}`],
    ['members', `{${fill('"a":1,')}`],
    ['long names in escapes', `{${fill(`"${'\\u0061'.repeat(54)}":1,`)}`],
    ['a decisive name, cut at its last quote', `{"client_id`],
    ['more bytes than characters', `{"a":"${fill('\u{1f600}')}"}`],
    ['nothing', ''],
  ] as const) {
    it(`is one pass, no more than the body's length: ${name}`, () => {
      const text = new WatchedText(body)
      // Only what the scan calls is watched: it must see nothing of the text but through these.
      const { visited } = scanJson(text as unknown as string)
      expect(text.looked.length).to.be.at.most(FIGURES.F10.passes * Buffer.byteLength(body))
      expect(visited).to.be.at.least(text.looked.length).and.at.most(body.length)
      // One pass: never back.
      const goesBack = text.looked.some((index, i) => i > 0 && index <= (text.looked[i - 1] ?? 0))
      expect(goesBack).to.equal(false)
      expect(scanJson(body)).to.deep.equal(scanJson(text as unknown as string))
    })
  }

  it('looks at no more of a body that is too deep than what is too deep', () => {
    expect(scanJson(DEEP)).to.deep.equal({ problem: 'nested too deeply', visited: DEEP.indexOf('[') + 32 })
  })
})
