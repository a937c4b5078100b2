import { expect } from 'chai'
import { describe, it } from 'mocha'
import { loadConfig } from '../../../src/config/load.ts'
import { createMetrics, createPrimaryMetrics, type Metrics } from '../../../src/telemetry/metrics.ts'
import { createMergedView } from '../../../src/workers/merged-view.ts'
import type { Answers } from '../../../src/workers/messages.ts'
import type { Member } from '../../../src/workers/pool.ts'
import { type FakeWorker, fakeWorker } from '../../support/fake-worker.ts'
import { STARTED } from '../../support/status.ts'

const ALLOWED = 'microgw_checks_total{decision="allow",reason="allowed"} '

const FLAGS = {
  'keyManager.external': 'true',
  'keyManager.introspectUrl': 'http://localhost/introspect',
  'keyManager.security.none.enabled': 'true',
}

/** It has allowed this many Checks, and answers questions once `answers` has resolved. */
function counting(allowed: number, answers: Promise<void> = Promise.resolve()): FakeWorker {
  const metrics = createMetrics()
  for (let check = 0; check < allowed; check += 1) metrics.check('allow', 'allowed', 'hit', 0.001)
  return fakeWorker(0, async (what) => {
    await answers
    return answerOf(metrics, what)
  })
}

async function answerOf<What extends keyof Answers>(metrics: Metrics, what: What): Promise<Answers[What] | undefined> {
  const all = { metrics: await metrics.snapshot(), status: { ...STARTED, totals: metrics.totals() } }
  return { ...all, decisions: [], decision: undefined }[what]
}

function viewOf(...workers: FakeWorker[]) {
  const members: Member[] = workers.map((process, index) => ({ worker: index + 1, process, restarts: 0 }))
  const loaded = loadConfig({ file: undefined, env: {}, flags: FLAGS })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const { config } = loaded
  const metrics = createPrimaryMetrics()
  const view = createMergedView({
    pool: {
      start: async () => undefined,
      give: () => undefined,
      reconfigure: async () => undefined,
      tell: () => undefined,
      members: () => [...members],
      drain: async () => undefined,
      stop: async () => undefined,
    },
    metrics,
    ownStatus: () => ({ ...STARTED, config, totals: metrics.totals() }),
  })
  return {
    allowedBy: async () => {
      const line = (await view.exposition()).body.split('\n').find((one) => one.startsWith(ALLOWED))
      return { metrics: Number(line?.slice(ALLOWED.length)), status: await allowed() }
    },
    allowed,
    end(process: FakeWorker, isDrain = false) {
      members.splice(
        members.findIndex((member) => member.process === process),
        1,
      )
      if (!isDrain) view.forget(process)
    },
  }

  async function allowed(): Promise<number> {
    return (await view.status()).totals.checks.allow
  }
}

describe('what an operator sees of several workers', () => {
  it('goes on counting what a worker had counted that ends in a drain', async () => {
    const [one, two] = [counting(3), counting(4)]
    const view = viewOf(one, two)
    await view.allowedBy()
    view.end(one, true)
    expect(await view.allowedBy()).to.deep.equal({ metrics: 7, status: 7 })
  })

  it('goes on counting what a worker that has ended had counted, as metrics and as status', async () => {
    const [one, two, three] = [counting(3), counting(4), counting(5)]
    const view = viewOf(one, two, three)
    expect(await view.allowedBy()).to.deep.equal({ metrics: 12, status: 12 })
    for (const process of [one, two, three]) {
      view.end(process)
      expect(await view.allowedBy()).to.deep.equal({ metrics: 12, status: 12 })
    }
  })

  it('says as status what only a scrape has asked for', async () => {
    const one = counting(3)
    const view = viewOf(one, counting(4))
    await view.allowedBy()
    view.end(one)
    expect(await view.allowed()).to.equal(7)
  })

  it('counts once what a worker says that ends while another is waited for', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const one = counting(3)
    const view = viewOf(one, counting(4, promise))
    const status = view.allowed()
    await new Promise(setImmediate)
    view.end(one)
    resolve()
    expect(await status).to.equal(7)
    expect(await view.allowed()).to.equal(7)
  })
})
