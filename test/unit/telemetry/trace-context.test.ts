import { expect } from 'chai'
import fc from 'fast-check'
import { describe, it } from 'mocha'
import { readTraceContext, writeTraceContext } from '../../../src/telemetry/trace-context.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'
const PARENT = `00-${TRACE}-${SPAN}-01`

/** What is sent on of these headers. */
function pass(parent: string | readonly string[], state: string | readonly string[] = []) {
  const context = readTraceContext([parent].flat(), [state].flat())
  return context === undefined ? undefined : writeTraceContext(context)
}

describe('W3C trace context: traceparent', () => {
  it('sends a well-formed one on as it came, sampled or not', () => {
    expect(pass(PARENT)).to.deep.equal({ traceparent: PARENT })
    expect(pass(`00-${TRACE}-${SPAN}-00`)).to.deep.equal({ traceparent: `00-${TRACE}-${SPAN}-00` })
    expect(pass(`00-${TRACE}-${SPAN}-03`)).to.deep.equal({ traceparent: `00-${TRACE}-${SPAN}-03` })
  })

  it('clears flags nobody has given a meaning', () => {
    expect(pass(`00-${TRACE}-${SPAN}-ff`)).to.deep.equal({ traceparent: `00-${TRACE}-${SPAN}-03` })
  })

  it('reads a version to come by what it knows of it, and writes version 00', () => {
    expect(pass(`cc-${TRACE}-${SPAN}-01`)).to.deep.equal({ traceparent: PARENT })
    expect(pass(`cc-${TRACE}-${SPAN}-0f-what-comes-after`)).to.deep.equal({ traceparent: PARENT })
  })

  const malformed: Readonly<Record<string, string>> = {
    nothing: '',
    'version ff': `ff-${TRACE}-${SPAN}-01`,
    'more after version 00': `${PARENT}-more`,
    'more after a version to come, without a dash': `cc-${TRACE}-${SPAN}-01more`,
    'capital letters': `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    'a trace id of zeros': `00-${'0'.repeat(32)}-${SPAN}-01`,
    'a parent id of zeros': `00-${TRACE}-${'0'.repeat(16)}-01`,
    'a short trace id': `00-${TRACE.slice(1)}-${SPAN}-01`,
    'a long parent id': `00-${TRACE}-${SPAN}0-01`,
    'short flags': `00-${TRACE}-${SPAN}-1`,
    'no hexadecimal': `00-${TRACE.replace('4', 'g')}-${SPAN}-01`,
    'two joined by a comma': `${PARENT},${PARENT}`,
    'a line break and another header': `${PARENT}\r\nx-admin: true`,
    'a trailing line break': `${PARENT}\n`,
    'a leading space': ` ${PARENT}`,
  }
  for (const [name, parent] of Object.entries(malformed)) {
    it(`drops ${name}, its tracestate with it`, () => {
      expect(pass(parent, 'vendor=1')).to.equal(undefined)
    })
  }

  it('drops two of them: they name two parents', () => {
    expect(pass([PARENT, PARENT])).to.equal(undefined)
  })
})

describe('W3C trace context: tracestate', () => {
  const state = (...values: readonly string[]) => pass(PARENT, values)?.['tracestate']

  it('sends members on in their order, blanks around them and empty ones left out', () => {
    expect(state('rojo=00f067aa0ba902b7,congo=t61rcWkgMzE')).to.equal('rojo=00f067aa0ba902b7,congo=t61rcWkgMzE')
    expect(state(' a=1 ,\t, b=2\t')).to.equal('a=1,b=2')
    expect(state('a=1', 'b=2')).to.equal('a=1,b=2')
    expect(state('fw529a3039@dt=FfAa_1-x;y:z,0key/*-_=v alue')).to.equal('fw529a3039@dt=FfAa_1-x;y:z,0key/*-_=v alue')
  })

  it('drops all of it for one wrong member, and keeps traceparent', () => {
    const wrong = [
      'a',
      '=1',
      'A=1',
      'a=',
      'a=1=2',
      'a=\u00e9',
      'a=\u0007',
      `${'k'.repeat(257)}=1`,
      `a=${'v'.repeat(257)}`,
      'a b=1',
      'a=1,a=2',
    ]
    for (const member of wrong) expect(pass(PARENT, `good=1,${member}`), member).to.deep.equal({ traceparent: PARENT })
    expect(pass(PARENT, '')).to.deep.equal({ traceparent: PARENT })
    expect(pass(PARENT, 'a=1\r\nx-admin: true')).to.deep.equal({ traceparent: PARENT })
  })

  it('drops more than 32 members', () => {
    const members = (count: number) => Array.from({ length: count }, (_, n) => `k${n}=1`).join(',')
    expect(state(members(32))).to.equal(members(32))
    expect(state(members(33))).to.equal(undefined)
  })

  it('is at most 512 characters long: long members go first, then those at the end', () => {
    const short = (n: number) => `k${n}=${'v'.repeat(90)}`
    const long = `big=${'v'.repeat(200)}`
    expect(state(`${short(1)},${long},${short(2)},${short(3)},${short(4)}`)).to.equal([1, 2, 3, 4].map(short).join(','))
    expect(state([1, 2, 3, 4, 5, 6, 7].map(short).join(','))).to.equal([1, 2, 3, 4, 5].map(short).join(','))
  })
})

describe('W3C trace context, property', () => {
  const piece = fc.oneof(
    fc.constantFrom('00-', 'ff-', 'cc-', TRACE, SPAN, '-', '-01', ',', '=', 'a=1', '\r\n', ' ', '\t', '\u00e9'),
    fc.string({ unit: 'binary', maxLength: 20 }),
  )
  const text = fc.oneof(
    fc.constant(PARENT),
    fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
  )

  it('sends nothing on but what the grammar has, whatever came', () => {
    fc.assert(
      fc.property(fc.array(text, { maxLength: 2 }), fc.array(text, { maxLength: 3 }), (parents, states) => {
        const sent = readTraceContext(parents, states)
        if (sent === undefined) return
        const { traceparent, tracestate, ...more } = writeTraceContext(sent)
        expect(more).to.deep.equal({})
        expect(traceparent).to.match(/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[0-3]$/)
        if (tracestate !== undefined) expect(tracestate).to.match(/^[\x20-\x7e]{3,512}$/)
        // What was written is read as the same.
        expect(readTraceContext([traceparent ?? ''], tracestate === undefined ? [] : [tracestate])).to.deep.equal(sent)
      }),
    )
  })
})
