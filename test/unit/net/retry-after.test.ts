import { expect } from 'chai'
import { describe, it } from 'mocha'
import { readRetryAfterMs } from '../../../src/net/retry-after.ts'

describe('Retry-After', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  const rows: [unknown, number][] = [
    ['0', 0],
    [' 7 ', 7_000],
    ['11', 10_000],
    ['9'.repeat(400), 10_000],
    ['Thu, 01 Jan 2026 00:00:04 GMT', 4_000],
    ['Thu, 01 Jan 2036 00:00:00 GMT', 10_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['-1', 1_000],
    ['1.5', 1_000],
    ['2026-01-01', 1_000],
    ['Thu, nonsense', 1_000],
    ['', 1_000],
    [undefined, 1_000],
    [['1', '2'], 1_000],
  ]
  for (const [value, ms] of rows) {
    it(`F06 ${JSON.stringify(value)?.slice(0, 40)} is ${ms} ms`, () =>
      expect(readRetryAfterMs(value, now)).to.equal(ms))
  }

  it('F06 asctime, the one form without a zone, is GMT wherever the sidecar runs', () => {
    const zone = process.env['TZ']
    process.env['TZ'] = 'Asia/Tokyo'
    try {
      expect(readRetryAfterMs('Thu Jan  1 00:00:04 2026', now)).to.equal(4_000)
      expect(readRetryAfterMs('Thursday, 01-Jan-26 00:00:04 GMT', now)).to.equal(4_000)
    } finally {
      if (zone === undefined) delete process.env['TZ']
      else process.env['TZ'] = zone
    }
  })
})
