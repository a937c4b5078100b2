/** Records one Check: its metrics, its decision line and its trace, once, in one place (product contract section 2, step 6). */
import type { CheckView, Decision } from '../authz/ports.ts'
import type { DecisionLog } from '../telemetry/decision-log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { BegunTrace } from '../telemetry/trace.ts'

/** `durationMs` is from arrival to the encoded answer. */
export type RecordCheck = (
  check: CheckView,
  decision: Decision,
  decisionId: string,
  durationMs: number,
  unavailable: 'deny' | 'error',
  trace: BegunTrace | undefined,
) => void

export function createRecord(dependencies: {
  readonly metrics: Metrics
  readonly decisions: DecisionLog
}): RecordCheck {
  const { metrics, decisions } = dependencies
  return (check, decision, decisionId, durationMs, unavailable, trace) => {
    const outcome = outcomeOf(decision, unavailable)
    metrics.check(outcome, decision.reason, decision.cache, durationMs / 1000)
    if (decision.reason === 'allowed' && decision.wouldDeny !== undefined) metrics.wouldDeny(decision.wouldDeny)
    decisions.record(check, decision, decisionId, durationMs)
    trace?.end(outcome, decision, decisionId)
  }
}

function outcomeOf(decision: Decision, unavailable: 'deny' | 'error'): 'allow' | 'deny' | 'error' {
  if (decision.allow) return 'allow'
  return unavailable === 'error' && decision.isOutage ? 'error' : 'deny'
}
