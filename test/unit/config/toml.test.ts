import { parse } from '@iarna/toml'
import { expect } from 'chai'
import fc from 'fast-check'
import { describe, it } from 'mocha'
import { scanKeys } from '../../../src/config/toml-keys.ts'
import { GOOD, load } from './writing.ts'

const TOKENS = [
  'a',
  'b',
  'keyManager',
  'policy',
  'rules',
  '__proto__',
  'constructor',
  '"',
  "'",
  '"""',
  "'''",
  '"x"',
  "'y'",
  '"\\u0061"',
  '=',
  ' = ',
  '.',
  '[',
  ']',
  '[[',
  ']]',
  '{',
  '}',
  ',',
  '\n',
  '\r\n',
  '#',
  ' ',
  '\t',
  '\\',
  '1',
  '1.5',
  'true',
  '1979-05-27',
  '\u0000',
]
const tomlish = fc.array(fc.constantFrom(...TOKENS), { maxLength: 40 }).map((tokens) => tokens.join(''))

describe('walking the text before the TOML library sees it', () => {
  it('knows the line of every key, also in arrays of tables and inline tables', () => {
    const text = '# c\n[A.b]\nk = """\nx\n"""\n[[R]]\nn = [1,\n 2]\n[[r]]\nt = { "q.w" = 1 }\n'
    const scanned = scanKeys(text)
    expect(scanned.kind === 'keys' && Object.fromEntries(scanned.lines)).to.deep.include({
      'a.b': 2,
      'a.b.k': 3,
      'r[0]': 6,
      'r[0].n': 7,
      'r[0].n[1]': 8,
      'r[1]': 9,
      'r[1].t.q.w': 10,
    })
  })

  it('takes quotes right before the closing three of a long text', () => {
    for (const text of ['a = """"x""""', "a = ''''x''''", 'a = """x\\"""""'])
      expect(scanKeys(text).kind, text).to.equal('keys')
  })

  it('accepts whatever the library accepts, reserved names excepted, and the library never meets those', () => {
    fc.assert(
      fc.property(tomlish, (text) => {
        const scanned = scanKeys(text)
        if (scanned.kind !== 'syntax') return true
        // The library must not be handed a text that holds a reserved name: it would write through it.
        if (/__proto__|constructor/.test(text)) return true
        try {
          parse(text)
          return false
        } catch {
          return true
        }
      }),
      { numRuns: 3000 },
    )
  })

  it('F31 leaves every prototype alone, whatever the text', () => {
    const before = [Object.prototype, Object, Function.prototype].map((one) => Reflect.ownKeys(one).length)
    fc.assert(
      fc.property(tomlish, (text) => load(text).problems.length > 0),
      { numRuns: 500 },
    )
    expect([Object.prototype, Object, Function.prototype].map((one) => Reflect.ownKeys(one).length)).to.deep.equal(
      before,
    )
  })
})

describe('loading', () => {
  it('never throws, whatever is put into a good file', () => {
    fc.assert(
      fc.property(fc.nat({ max: GOOD.length }), fc.oneof(tomlish, fc.string({ unit: 'binary' })), (at, junk) => {
        const loaded = load(GOOD.slice(0, at) + junk + GOOD.slice(at))
        return loaded.ok || loaded.problems.some((problem) => problem.severity === 'error')
      }),
      { numRuns: 500 },
    )
  })
})
