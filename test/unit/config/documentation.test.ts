import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import { configurationDocument } from '../../../scripts/configuration-docs.ts'
import { rowOf, SCHEMA, variableOf } from '../../../src/config/schema.ts'

describe('docs/configuration.md', () => {
  it('is what the table of keys says: run `npm run docs` when this fails', () => {
    const written = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8')
    expect(written).to.equal(configurationDocument())
  })
})

describe('the table of keys', () => {
  it('holds every path once', () => {
    expect(new Set(SCHEMA.map((row) => row.path)).size).to.equal(SCHEMA.length)
  })

  it('gives no two keys the same variable', () => {
    const names = SCHEMA.flatMap((row) => variableOf(row)?.toLowerCase() ?? [])
    expect(new Set(names).size).to.equal(names.length)
  })

  it('documents every key', () => {
    for (const row of SCHEMA) expect(row.doc, row.path).to.match(/\.$/)
  })

  it('knows no other path', () => {
    expect(() => rowOf('no.such')).to.throw()
  })
})
