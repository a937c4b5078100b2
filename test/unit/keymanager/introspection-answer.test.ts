import { expect } from 'chai'
import { describe, it } from 'mocha'
import { membersOf } from '../../../src/authz/introspection.ts'
import type { Claims, Introspected } from '../../../src/authz/ports.ts'
import { readIntrospectionAnswer } from '../../../src/keymanager/introspection-answer.ts'
import { named } from './support.ts'

const json = { 'content-type': 'application/json' }

function parse(body: unknown, extra: { lenientExp?: boolean; status?: number; headers?: object } = {}): Introspected {
  const text = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body)
  return readIntrospectionAnswer(
    { status: extra.status ?? 200, headers: { ...(extra.headers ?? json) }, body: Buffer.from(text) },
    { lenientExp: extra.lenientExp ?? false, authenticated: true, nowWallMs: 0 },
  )
}

function claims(body: unknown, extra: { lenientExp?: boolean; headers?: object } = {}): Claims {
  const outcome = parse(body, extra)
  if (outcome.kind !== 'active') throw new Error(`not active but ${JSON.stringify(outcome)}`)
  return outcome.claims
}

const active = (members: string): string => `{"active":true,${members}}`

describe('introspection answer: never active', () => {
  const nested = (depth: number): string => `{"active":true,"x":${'['.repeat(depth)}${']'.repeat(depth)}}`
  const rows: [string, string | Uint8Array][] = [
    ['C10 active "true"', '{"active":"true"}'],
    ['C10 active "false"', '{"active":"false"}'],
    ['C10 active 1', '{"active":1}'],
    ['C10 active null', '{"active":null}'],
    ['C10 active [true]', '{"active":[true]}'],
    ['C10 active missing', '{"sub":"a"}'],
    ['C10 active nested in data', '{"data":{"active":true}}'],
    ['C10 active inherited through __proto__', '{"__proto__":{"active":true}}'],
    ['C13 exp an object', active('"exp":{}')],
    ['C13 exp a boolean', active('"exp":true')],
    ['C13 exp 1e400', active('"exp":1e400')],
    ['C13 exp -1e400', active('"exp":-1e400')],
    ['C13 nbf 1e400', active('"nbf":1e400')],
    ['C13 exp a numeric string without lenientExp', active('"exp":"4102444800"')],
    ['C13 nbf a numeric string without lenientExp', active('"nbf":"0"')],
    ['repeated active', '{"active":false,"active":true}'],
    ['repeated active, spelt with an escape', '{"active":false,"\\u0061ctive":true}'],
    ['repeated exp', active('"exp":1,"exp":2')],
    ['repeated nbf', active('"nbf":1,"nbf":2')],
    ['repeated scope', active('"scope":"a","scope":"b"')],
    ['repeated aud', active('"aud":"a","aud":"b"')],
    ['repeated iss', active('"iss":"a","iss":"b"')],
    ['repeated client_id, spelt with escapes', active('"client_id":"a","client\\u005fid":"b"')],
    ['repeated cnf', active('"cnf":{"jkt":"a"},"cnf":{}')],
    ['nested 33 deep', nested(32)],
    ['30,000 deep', nested(30_000)],
    ['empty body', ''],
    ['white space only', ' \n'],
    ['truncated', '{"active":true'],
    ['array at the top', '[{"active":true}]'],
    ['true at the top', 'true'],
    ['null at the top', 'null'],
    ['two objects', '{"active":true}{"active":true}'],
    ['trailing comma', '{"active":true,}'],
    ['invalid UTF-8', Buffer.from([...Buffer.from('{"active":true,"sub":"'), 0xff, ...Buffer.from('"}')])],
    ['overlong UTF-8', Buffer.from([...Buffer.from('{"active":true,"sub":"'), 0xc0, 0xaf, ...Buffer.from('"}')])],
    ['a lone surrogate, escaped', active('"sub":"\\ud800"')],
    ['a lone surrogate deep inside', active('"x":[{"y":"\\udc00"}]')],
    ['a lone surrogate in a name', active('"\\ud800":1')],
    ['UTF-16', Buffer.from('{"active":true}', 'utf16le')],
    ['sub an object', active('"sub":{}')],
    ['sub a boolean', active('"sub":true')],
    ['sub beyond any number', active('"sub":1e400')],
    ['username a list', active('"username":["a"]')],
    ['client_id a boolean', active('"client_id":false')],
    ['jti an object', active('"jti":{}')],
    ['scope a number', active('"scope":7')],
    ['scope a list holding a number', active('"scope":["a",1]')],
    ['aud a number', active('"aud":7')],
    ['aud a list holding null', active('"aud":[null]')],
    ['iss a list', active('"iss":["a"]')],
    ['token_type a number', active('"token_type":1')],
    ['cnf a string', active('"cnf":"x"')],
    ['cnf a list', active('"cnf":[]')],
  ]
  for (const [name, body] of rows) {
    it(`${name} is malformed`, () => expect(named(parse(body))).to.equal('malformed'))
  }

  for (const type of [
    undefined,
    '',
    'text/html',
    'text/plain',
    'application/jwt',
    'application/token-introspection+jwt',
    'application/jsonp',
    'x-application/json',
    'json',
    'application/json, text/html',
  ]) {
    it(`content type ${type ?? '(missing)'} over valid JSON is malformed`, () => {
      const headers = type === undefined ? {} : { 'content-type': type }
      expect(named(parse({ active: true }, { headers }))).to.equal('malformed')
    })
  }

  for (const encoding of ['gzip', 'deflate', 'br', 'identity, gzip', 'x']) {
    it(`Content-Encoding ${encoding} is malformed`, () => {
      expect(named(parse({ active: true }, { headers: { ...json, 'content-encoding': encoding } }))).to.equal(
        'malformed',
      )
    })
  }

  const statuses: [number, string][] = [
    [201, 'malformed'],
    [204, 'malformed'],
    [206, 'malformed'],
    [301, 'unavailable/client_error'],
    [302, 'unavailable/client_error'],
    [307, 'unavailable/client_error'],
    [400, 'unavailable/client_error'],
    [401, 'unavailable/unauthorized'],
    [403, 'unavailable/unauthorized'],
    [404, 'unavailable/client_error'],
    [405, 'unavailable/client_error'],
    [429, 'unavailable/throttled'],
    [500, 'unavailable/server_error'],
    [502, 'unavailable/server_error'],
    [503, 'unavailable/server_error'],
    [600, 'malformed'],
  ]
  for (const [status, outcome] of statuses) {
    it(`C23 status ${status} with {"active":true} is ${outcome}`, () => {
      expect(named(parse({ active: true }, { status }))).to.equal(outcome)
    })
  }

  it('takes a 403 as a client error where no credentials were sent', () => {
    const answer = { status: 403, headers: {}, body: new Uint8Array() }
    const outcome = readIntrospectionAnswer(answer, { lenientExp: false, authenticated: false, nowWallMs: 0 })
    expect(named(outcome)).to.equal('unavailable/client_error')
  })

  it('a body beyond the cap is malformed', () => {
    const answer = { status: 200, headers: json, body: new Uint8Array(), oversized: true }
    const outcome = readIntrospectionAnswer(answer, { lenientExp: false, authenticated: true, nowWallMs: 0 })
    expect(named(outcome)).to.equal('malformed')
  })

  it('C22 active false is inactive, C11 whatever else it says', () => {
    expect(parse('{"active":false,"exp":{},"sub":7,"cnf":3}')).to.deep.equal({ kind: 'inactive' })
  })

  for (const error of ['unsupported_token_type', 'invalid_token']) {
    it(`400 ${error} refuses this token: inactive`, () => {
      expect(parse({ error }, { status: 400 })).to.deep.equal({ kind: 'inactive' })
    })
  }
  for (const error of ['invalid_request', 'invalid_client', 'INVALID_TOKEN', ['invalid_token'], null]) {
    it(`400 ${JSON.stringify(error)} is a client error`, () => {
      expect(named(parse({ error }, { status: 400 }))).to.equal('unavailable/client_error')
    })
  }

  it('C81 no detail repeats anything the key manager sent', () => {
    const outcome = parse('{"active":"canary-value","canary":true}')
    expect(JSON.stringify(outcome)).not.to.contain('canary')
  })
})

describe('introspection answer: tolerated', () => {
  it('C19 unknown members are kept and ignored', () => {
    expect(membersOf(claims(active('"ext":{"a":1}')))).to.deep.equal({ active: true, ext: { a: 1 } })
  })
  it('C18 nothing but active is needed', () => {
    const { json: _, ...rest } = claims('{"active":true}')
    expect(rest).to.deep.equal({
      sub: undefined,
      username: undefined,
      clientId: undefined,
      iss: undefined,
      audience: [],
      scopes: [],
      tokenType: undefined,
      expSec: undefined,
      nbfSec: undefined,
      isAccessToken: true,
      isBound: false,
    })
  })
  it('null for an optional member is absence', () => {
    const names = ['sub', 'username', 'client_id', 'jti', 'scope', 'aud', 'iss', 'token_type', 'cnf', 'exp', 'nbf']
    expect(claims(active(names.map((name) => `"${name}":null`).join()))).to.include({
      sub: undefined,
      expSec: undefined,
      nbfSec: undefined,
      isBound: false,
    })
  })

  const times: [string, string, number | undefined, number | undefined, boolean?][] = [
    ['C12 whole seconds', '"exp":100,"nbf":50', 100, 50],
    ['C13 fractions are floored', '"exp":100.9,"nbf":50.9', 100, 50],
    ['C13 a negative exp is long past', '"exp":-1.5', -2, undefined],
    ['C13 exp 0 is not absence', '"exp":0,"nbf":0', 0, 0],
    [
      'C14 2^63-1 never expires and is no nbf',
      '"exp":9223372036854775807,"nbf":9223372036854775807',
      undefined,
      undefined,
    ],
    ['C14 2^53 never expires', '"exp":9007199254740992', undefined, undefined],
    ['C14 2^53-1 is a time', '"exp":9007199254740991', 9007199254740991, undefined],
    ['C14 1e300 never expires', '"exp":1e300', undefined, undefined],
    ['C13 strings with lenientExp', '"exp":"100","nbf":"50.5"', 100, 50, true],
    ['C14 a long string with lenientExp', '"exp":"9223372036854775807"', undefined, undefined, true],
    ['milliseconds are taken as they are', '"exp":1795483946000', 1795483946000, undefined],
  ]
  for (const [name, members, expSec, nbfSec, lenientExp = false] of times) {
    it(name, () => {
      const { expSec: exp, nbfSec: nbf } = claims(active(members), { lenientExp })
      expect([exp, nbf]).to.deep.equal([expSec, nbfSec])
    })
  }
  for (const value of ['"1e5"', '""', '" 1"', '"0x10"', '"Infinity"', '"abc"', '[1]']) {
    it(`C13 exp ${value} is malformed even with lenientExp`, () => {
      expect(named(parse(active(`"exp":${value}`), { lenientExp: true }))).to.equal('malformed')
    })
  }

  it('C15 scope is split into words', () => {
    expect(claims(active('"scope":" a  b a "')).scopes).to.deep.equal(['a', 'b', 'a'])
  })
  it('scope may be a list, or be called scopes', () => {
    expect(claims(active('"scope":["a","b c"]')).scopes).to.deep.equal(['a', 'b', 'c'])
    expect(claims(active('"scopes":["a"]')).scopes).to.deep.equal(['a'])
    expect(claims(active('"scopes":"a b"')).scopes).to.deep.equal(['a', 'b'])
    expect(claims(active('"scope":"x","scopes":"a b"')).scopes).to.deep.equal(['x'])
  })
  it('C16 aud is a string or a list', () => {
    expect(claims(active('"aud":"a b"')).audience).to.deep.equal(['a b'])
    expect(claims(active('"aud":["a","b"]')).audience).to.deep.equal(['a', 'b'])
  })
  it('C17 iss is kept as it is', () => expect(claims(active('"iss":"https://a/"')).iss).to.equal('https://a/'))
  it('azp stands in for a missing client_id only', () => {
    expect(claims(active('"azp":"a"')).clientId).to.equal('a')
    expect(claims(active('"azp":"a","client_id":"c"')).clientId).to.equal('c')
  })
  it('a number is taken as its decimal text, long ones digit by digit', () => {
    const { sub, username, clientId } = claims(active('"sub":42,"username":12345678901234567890,"client_id":-1'))
    expect([sub, username, clientId]).to.deep.equal(['42', '12345678901234567890', '-1'])
    expect(claims(active('"x":{"sub":1},"sub":12345678901234567891')).sub).to.equal('12345678901234567891')
  })
  it('F31 __proto__ is inert', () => {
    const read = claims(active('"__proto__":{"sub":"x","polluted":1}'))
    const members = membersOf(read)
    expect(read.sub).to.equal(undefined)
    expect(Object.getPrototypeOf(members)).to.equal(Object.prototype)
    expect(Object.hasOwn({}, 'polluted') || 'polluted' in {}).to.equal(false)
  })
  it('members called constructor and toString are members', () => {
    expect(membersOf(claims(active('"constructor":"a","toString":"b"')))).to.include({ constructor: 'a' })
  })
  for (const type of [
    'application/json',
    'APPLICATION/JSON',
    'application/json; charset=utf-8',
    'application/json;charset=UTF-8',
    'text/json',
    'application/problem+json; a=b',
  ]) {
    it(`content type ${type}`, () => {
      expect(named(parse({ active: true }, { headers: { 'content-type': type } }))).to.equal('active')
    })
  }
  it('Content-Encoding identity', () => {
    expect(named(parse({ active: true }, { headers: { ...json, 'content-encoding': 'Identity' } }))).to.equal('active')
  })
  it('a byte-order mark', () => expect(named(parse('\ufeff{"active":true}'))).to.equal('active'))
  it('a surrogate pair, escaped', () => expect(claims(active('"sub":"\\ud83d\\ude00"')).sub).to.equal('\u{1f600}'))
  it('32 levels', () => expect(named(parse(active(`"x":${'['.repeat(31)}${']'.repeat(31)}`)))).to.equal('active'))
  it('a name repeated below the top, and an unimportant one at the top', () => {
    expect(named(parse(active('"x":{"active":1,"active":2},"y":1,"y":2,"z":"\\"active\\":"')))).to.equal('active')
  })
  it('answers are frozen to the bottom', () => {
    const read = claims(active('"scope":"a","aud":["b"]'))
    expect([read, read.scopes, read.audience].every(Object.isFrozen)).to.equal(true)
  })
  it('scopes in the same words are split once, and never mistaken for others', () => {
    const one = claims(active('"scope":"x y"'))
    expect(claims(active('"scope":"x y"')).scopes).to.equal(one.scopes)
    for (const other of ['["x","y"]', '"x  y"', '"x y "']) {
      expect(claims(active(`"scope":${other}`)).scopes).to.deep.equal(['x', 'y'])
    }
    expect(claims(active('"scope":"xy"')).scopes).to.deep.equal(['xy'])
    // More than there is room for: forgotten, not mixed up.
    for (let at = 0; at < 3000; at += 1)
      expect(claims(active(`"scope":"s${at} t"`)).scopes).to.deep.equal([`s${at}`, 't'])
  })

  for (const [name, value, isAccessToken] of [
    ['token_use', 'refresh_token', false],
    ['token_use', 'access_token', true],
    ['token_type', 'Refresh', false],
    ['token_type', 'Bearer', true],
    ['typ', 'Offline', false],
    ['typ', 'ID', false],
    ['typ', 'id_token', false],
    ['typ', 'Bearer', true],
  ] as const) {
    it(`C37 ${name} ${value} ${isAccessToken ? 'is' : 'is not'} an access token`, () => {
      expect(claims(active(`"${name}":"${value}"`)).isAccessToken).to.equal(isAccessToken)
    })
  }
  it('cnf {} is absence, any member binds', () => {
    expect(claims(active('"cnf":{}')).isBound).to.equal(false)
    expect(claims(active('"cnf":{"unknown":1}')).isBound).to.equal(true)
  })
})
