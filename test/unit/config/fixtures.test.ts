import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { formatProblem } from '../../../src/commands/check-config.ts'
import { loadConfig } from '../../../src/config/load.ts'

const FIXTURES = new URL('../../fixtures/config/', import.meta.url)

describe('one file per mistake', () => {
  for (const name of readdirSync(FIXTURES).filter((file) => file.endsWith('.conf'))) {
    it(`reports exactly what ${basename(name, '.conf')}.expected says`, () => {
      const expected = readFileSync(new URL(name.replace(/conf$/, 'expected'), FIXTURES), 'utf8')
      const loaded = loadConfig({ file: new URL(name, FIXTURES).pathname, env: {} })
      expect(loaded.problems.map((problem) => `${formatProblem(problem, name)}\n`).join('')).to.equal(expected)
      expect(loaded.ok).to.equal(!expected.includes(': error: '))
      expect(expected).not.to.include('canary')
    })
  }
})
