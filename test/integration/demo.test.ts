import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { describe, it } from 'mocha'

const DEMO = fileURLToPath(new URL('../../demo/demo.ts', import.meta.url))

function play(): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [DEMO, '--once'], {
      env: { ...process.env, MICRO_GW_DEMO_ENVOY: 'off' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    child.on('exit', (code) => resolve({ code, output }))
  })
}

describe('the demo, against a real authorization server (oidc-provider)', () => {
  it('plays the whole story once: every step as it should, exit 0, no whole token printed', async () => {
    const { code, output } = await play()
    expect(output).to.contain('Every step went as it should.').and.not.contain('FAIL')
    expect(code).to.equal(0)
    // oidc-provider's opaque tokens have 43 characters: none may appear whole.
    expect(output).to.not.match(/[A-Za-z0-9_-]{43}/)
  }).timeout(30_000)
})
