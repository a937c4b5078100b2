import { expect } from 'chai'
import { describe, it } from 'mocha'
import { rewrite } from '../support/rewrite.ts'

describe('rewrite, which fits files of deploy/ to a test', () => {
  it('replaces ports, hosts, addresses and paths, wherever they stand', () => {
    const text =
      'a: { address: keycloak, port_value: 8080 }\nb: "http://keycloak:8080/realms"\nc: /run/authz/authz.sock\nd: /run/authz\n'
    const map = { keycloak: '127.0.0.1', '8080': '40001', '/run/authz/authz.sock': '/tmp/s', '/run/authz': '/tmp/d' }
    expect(rewrite(text, map)).to.equal(
      'a: { address: 127.0.0.1, port_value: 40001 }\nb: "http://127.0.0.1:40001/realms"\nc: /tmp/s\nd: /tmp/d\n',
    )
  })

  it('takes whole words only', () => {
    expect(rewrite('19001 9001 90011 a-9001', { '9001': '1' })).to.equal('19001 1 90011 a-9001')
    expect(rewrite('api.example.com example.com', { 'example.com': 'h' })).to.equal('api.example.com h')
  })

  it('replaces once: what was put in is not looked at again', () => {
    expect(rewrite('9001 9002', { '9001': '9002', '9002': '9001' })).to.equal('9002 9001')
  })

  it('refuses what the text does not hold, and what is no address', () => {
    expect(() => rewrite('port: 9001', { '9002': '1' })).to.throw('does not hold 9002')
    expect(() => rewrite('enabled = true', { 'enabled = true, x': '' })).to.throw('only ports, hosts and paths')
  })
})
