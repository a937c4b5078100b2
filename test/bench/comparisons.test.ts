/** What a bench compares with: that both sides of a ratio had the same chances. */
import { expect } from 'chai'
import { afterEach, describe, it } from 'mocha'
import { sharesOf } from '../../bench/balance.ts'
import { closeAll } from '../../bench/machine/process.ts'
import { CONNECTIONS } from '../../bench/servers/bare-call.ts'
import { startBareClient, startKeyManager } from '../../bench/servers/start.ts'
import { projectedRatio } from '../../bench/workers.ts'

describe('what a bench compares with', () => {
  afterEach(closeAll)

  it('the bare client of all rounds is one process, warm and connected', async () => {
    const keyManager = await startKeyManager()
    const client = await startBareClient(keyManager.url, { flags: [], env: {} })
    expect(await client.micros(300)).to.be.above(0)
    const before = await keyManager.figures()
    expect(await client.micros(200)).to.be.above(0)
    const after = await keyManager.figures()
    expect(after.introspections - before.introspections).to.equal(200)
    expect(before.connections).to.be.within(2, CONNECTIONS + 1)
    // The question itself comes on one connection.
    expect(after.connections - before.connections).to.equal(1)
  })

  it('the shares of workers are those of allowed Checks, and no result where one was denied or none came', () => {
    const worker = (checks: number, denied = 0) => ({ checks, denied, connections: 1 })
    expect(sharesOf([worker(10), worker(10)], [worker(20), worker(40)])).to.deep.equal([75, 25])
    expect(() => sharesOf([worker(10)], [worker(10)])).to.throw('0 Checks were allowed')
    expect(() => sharesOf([worker(10)], [worker(20, 1)])).to.throw('1 denied')
  })

  it('two workers on two cores serve no more than twice as much as one', () => {
    expect(projectedRatio(1.25)).to.equal(1.6)
    expect(projectedRatio(0.92)).to.equal(2)
  })
})
