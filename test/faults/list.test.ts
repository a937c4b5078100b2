import { readdirSync } from 'node:fs'
import { expect } from 'chai'
import { describe, it } from 'mocha'

/** Every fault that has its part by now; the others come with their parts. */
const FAULTS = [
  ...[
    'F01',
    'F02',
    'F03',
    'F04',
    'F05',
    'F06',
    'F07',
    'F08',
    'F09',
    'F10',
    'F11',
    'F12',
    'F17',
    'F18',
    'F19',
    'F20',
    'F21',
    'F22',
  ],
  ...['F23', 'F24', 'F25', 'F26', 'F27', 'F28', 'F29', 'F30', 'F31', 'F32', 'F33', 'F34'],
  ...['F35', 'F36', 'F37', 'F38', 'F39', 'F40', 'F41'],
]

describe('the faults', () => {
  it('each has a file of its own', () => {
    const files = readdirSync(new URL('.', import.meta.url))
    expect(FAULTS.filter((fault) => !files.includes(`${fault}.test.ts`))).to.deep.equal([])
  })
})
