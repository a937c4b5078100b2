import { expect } from 'chai'
import { describe, it } from 'mocha'
import { createTracing } from '../../../src/telemetry/trace.ts'
import { checkView } from '../../support/check-view.ts'

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

describe('the trace context of a Check, passed on', () => {
  /** What was read of the request so far. */
  function begun() {
    const read: string[] = []
    const check = { ...checkView({ headers: { traceparent: PARENT } }) }
    const { header } = check
    check.header = (name) => {
      read.push(name)
      return header(name)
    }
    const metadata = {
      get(name: string) {
        read.push(`metadata ${name}`)
        return []
      },
    }
    return { read, trace: createTracing().begin(metadata, check) }
  }

  it('is read when a call is made, not before', () => {
    const { read, trace } = begun()
    expect(read).to.deep.equal([])
    expect(trace.call('https://as.example.com')?.headers).to.have.property('traceparent')
    expect(read).to.include('traceparent')
  })

  it('F27 is read when the Check waits, and nothing of the request after that', () => {
    const { read, trace } = begun()
    trace.wait()
    const before = read.splice(0)
    expect(before).to.include('traceparent')
    for (let call = 0; call < 2; call += 1) {
      const traceparent = trace.call('https://as.example.com')?.headers['traceparent'] ?? ''
      expect(traceparent.slice(0, 35)).to.equal(PARENT.slice(0, 35))
    }
    expect(read).to.deep.equal([])
  })
})
