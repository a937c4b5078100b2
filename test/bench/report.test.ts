/** What benches make of what they measured. */
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { isSentLate } from '../../bench/report/arrivals.ts'
import { functionCosts, ownFileCosts, partCosts } from '../../bench/report/cpu-profile.ts'
import { functionAllocations } from '../../bench/report/heap-profile.ts'

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

describe('the product’s own files in a CPU profile', () => {
  it('are added up over their functions, and nobody else is listed', () => {
    const urls = ['/x/src/envoy/check-request.ts', '/x/src/envoy/check-request.ts', '/x/src/clock.ts', 'node:fs']
    const frames = urls.map((url, id) => ({ id, callFrame: { functionName: `f${id}`, url, lineNumber: id } }))
    const profile = { nodes: frames, samples: [0, 1, 2, 3], timeDeltas: [10, 20, 20, 50] }
    expect(ownFileCosts(functionCosts(profile)).map(([file]) => file)).to.deep.equal(['check-request.ts', 'clock.ts'])
    expect(ownFileCosts(functionCosts(profile))[0]?.[1]).to.be.closeTo(0.3, 1e-9)
  })
})

describe('sampled allocations', () => {
  it('are bytes a call by function, wherever it was called from', () => {
    const frame = (functionName: string, url = '') => ({ functionName, url, lineNumber: 0 })
    const node = (callFrame: ReturnType<typeof frame>, selfSize: number, children: object[] = []) =>
      ({ callFrame, selfSize, children }) as Parameters<typeof functionAllocations>[0]
    const parse = frame('parse', 'file:///x/src/envoy/check-request.ts')
    const head = node(frame('(root)'), 0, [node(parse, 300), node(frame('tick', 'node:x'), 600, [node(parse, 100)])])
    expect(functionAllocations(head, 10)).to.deep.equal([
      { name: 'tick', where: 'node:x:1', part: 'other JavaScript of Node', bytesEach: 60 },
      { name: 'parse', where: 'check-request.ts:1', part: 'this product, envoy/', bytesEach: 40 },
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
