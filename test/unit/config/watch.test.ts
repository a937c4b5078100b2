import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { describe, it } from 'mocha'
import type { Clock } from '../../../src/authz/ports.ts'
import { watchFiles } from '../../../src/config/watch.ts'
import { inDirectory } from './writing.ts'

/** Runs the pending timer at once. */
function steppingClock(): Clock & { tick(): void; readonly waits: number[] } {
  let pending: (() => void) | undefined
  const waits: number[] = []
  return {
    waits,
    wallMs: () => 0,
    monotonicMs: () => 0,
    after(ms, run) {
      waits.push(ms)
      pending = run
      return () => {
        pending = undefined
      }
    },
    tick() {
      pending?.()
    },
  }
}

describe('watching files', () => {
  it('tells a changed content once, every 5 s at most', () => {
    inDirectory((directory) => {
      const file = join(directory, 'a')
      writeFileSync(file, '1')
      const clock = steppingClock()
      let changes = 0
      const stop = watchFiles(
        [file],
        () => {
          changes += 1
        },
        clock,
      )
      clock.tick()
      writeFileSync(file, '2')
      clock.tick()
      clock.tick()
      expect(changes).to.equal(1)
      expect(new Set(clock.waits)).to.deep.equal(new Set([5000]))
      stop()
      writeFileSync(file, '3')
      clock.tick()
      expect(changes).to.equal(1)
    })
  })

  it("sees a ConfigMap's symlink swapped, a file going and coming", () => {
    inDirectory((directory) => {
      const [one, two, link] = [join(directory, 'one'), join(directory, 'two'), join(directory, 'link')]
      writeFileSync(one, '1')
      writeFileSync(two, '2')
      symlinkSync(one, link)
      const clock = steppingClock()
      let changes = 0
      watchFiles(
        [link],
        () => {
          changes += 1
        },
        clock,
      )
      symlinkSync(two, `${link}.new`)
      renameSync(`${link}.new`, link)
      clock.tick()
      rmSync(two)
      clock.tick()
      writeFileSync(two, '2')
      clock.tick()
      expect(changes).to.equal(3)
    })
  })

  it('sees no change where a file is written with the same content', () => {
    inDirectory((directory) => {
      const file = join(directory, 'a')
      writeFileSync(file, '1')
      const clock = steppingClock()
      let changes = 0
      watchFiles(
        [file],
        () => {
          changes += 1
        },
        clock,
      )
      writeFileSync(file, '1')
      clock.tick()
      expect(changes).to.equal(0)
    })
  })
})
