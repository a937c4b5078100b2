/** What benches make of what they measured. */
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { isSentLate } from '../../bench/report/arrivals.ts'
import { functionCosts, partCosts } from '../../bench/report/cpu-profile.ts'

describe('a CPU profile by part', () => {
  it('counts files of every folder of src as the product, those directly in it too', () => {
    const urls = ['file:///x/src/clock.ts', 'file:///x/src/authz/policy.ts', 'node:internal/http2/core', '']
    const frames = urls.map((url, id) => ({ id, callFrame: { functionName: 'f', url, lineNumber: id } }))
    const profile = { nodes: frames, samples: [0, 1, 2, 3], timeDeltas: [40, 30, 20, 10] }
    expect(partCosts(functionCosts(profile))).to.deep.equal([
      ['this product, src/', 0.4],
      ['this product, authz/', 0.3],
      ['node:http2, JavaScript', 0.2],
      ['native code (HTTP/2, sockets, hashing, maps)', 0.1],
    ])
  })
})

describe('a line of latencies', () => {
  const line = { perSecond: 1000, sentPerSecond: 999, latenessP99: 0.1, p99: 1 }

  it('is marked where the generator sent late by a part that counts', () => {
    expect(isSentLate(line)).to.equal(false)
    expect(isSentLate({ ...line, latenessP99: 0.2 })).to.equal(true)
  })

  it('is marked where the generator did not reach its rate', () => {
    expect(isSentLate({ ...line, sentPerSecond: 989 })).to.equal(true)
  })
})
