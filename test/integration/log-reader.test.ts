/** What becomes of the service where nobody takes its log any more. */
import { expect } from 'chai'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { basicConfig } from '../support/app.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'
import { inSeconds } from '../support/pair.ts'
import { askWith, eventually, isRunning, startWorkers, type Workers } from '../support/workers.ts'

/** Escaped, each of these characters is six: a line of 6 KiB. */
const LONG_PATH = `/${'\u0001'.repeat(1000)}`
/** 18 MiB of lines. */
const DENIES = 3_000
const DENIED = 'microgw_checks_total{decision="deny",reason="malformed_credentials"}'
const FLAGS = { 'log.maxDenyPerSecond': '100000', 'extAuthz.drainDelay': '0s', 'extAuthz.drainTimeout': '1s' }

describe('a log that nobody takes', function () {
  this.timeout(60_000)

  let keyManager: ScriptedKeyManager
  let sidecar: Workers | undefined
  beforeEach(async () => {
    keyManager = await startKeyManager()
    keyManager.answer({ body: { active: true, exp: inSeconds(300) } })
  })
  afterEach(async () => {
    await sidecar?.close()
    await keyManager.close()
  })

  for (const workers of [1, 2]) {
    const start = async () => {
      const running = await startWorkers(basicConfig(keyManager.url), { workers, flags: FLAGS })
      sidecar = running
      const client = running.connect()
      const deny = async (times: number): Promise<void> => {
        for (let asked = 0; asked < times; asked += 200)
          await Promise.all(Array.from({ length: 200 }, () => askWith(client, '', LONG_PATH)))
      }
      return { running, client, deny }
    }

    it(`does not end the service where its reader is gone, nor its own end (workers: ${workers})`, async () => {
      const { running, client, deny } = await start()
      running.takeOutput('closed')
      await deny(DENIES)
      expect(await running.metric(DENIED)).to.equal(DENIES)
      expect((await askWith(client, 'good')).allowed).to.equal(true)
      expect(running.output()).to.contain('micro-gw-authz: log lines cannot be written and are dropped (EPIPE)')
      running.signal('SIGTERM')
      expect(await running.exited).to.equal(0)
    })

    it(`is dropped where it is not read, and says how many lines later (workers: ${workers})`, async () => {
      const { running, client, deny } = await start()
      running.takeOutput('unread')
      await deny(DENIES)
      expect(await running.metric(DENIED)).to.equal(DENIES)
      expect((await askWith(client, 'good')).allowed).to.equal(true)
      running.takeOutput('read')
      const lost = () => running.events('log_lines_lost').reduce((sum, { lines }) => sum + Number(lines), 0)
      const written = () => running.events('decision').length
      await eventually('each line is written or said to be lost', async () => {
        await askWith(client, '')
        return lost() + written() >= DENIES
      })
      // A mebibyte in each process, and what pipes and this test hold: all else was dropped.
      expect(lost()).to.be.above(DENIES / 2)
      expect(await running.metric('microgw_log_lines_lost_total')).to.be.within(lost(), DENIES)

      running.takeOutput('unread')
      await deny(DENIES)
      running.signal('SIGTERM')
      await eventually('ended', () => !isRunning(running.pid), 5_000)
    })
  }
})
