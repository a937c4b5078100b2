/** Mocha's own "dot" output, and the three counts in a file for the sum over all suites. */
import { writeFileSync } from 'node:fs'
import mocha from 'mocha'

const { EVENT_RUN_END } = mocha.Runner.constants

export default class TallyReporter extends mocha.reporters.Dot {
  constructor(runner, options) {
    super(runner, options)
    runner.once(EVENT_RUN_END, () => {
      const { passes, failures, pending } = runner.stats
      writeFileSync(
        options.reporterOption.output,
        JSON.stringify({ passed: passes, failed: failures, skipped: pending }),
      )
    })
  }
}
