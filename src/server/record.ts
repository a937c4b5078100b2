/** Records one Check: its metrics and its decision line, once, in one place (product contract section 2, step 6). */
import type { CheckView, Decision } from '../authz/ports.ts'
import type { DecisionLog } from '../telemetry/decision-log.ts'
import type { Metrics } from '../telemetry/metrics.ts'

/** `durationMs` is from arrival to the encoded answer. */
export type RecordCheck = (
  check: CheckView,
  decision: Decision,
  decisionId: string,
  durationMs: number,
  unavailable: 'deny' | 'error',
) => void

export function createRecord(dependencies: {
  readonly metrics: Metrics
  readonly decisions: DecisionLog
}): RecordCheck {
  const { metrics, decisions } = dependencies
  return (check, decision, decisionId, durationMs, unavailable) => {
    metrics.check(outcomeOf(decision, unavailable), decision.reason, decision.cache, durationMs / 1000)
    if (decision.reason === 'allowed' && decision.wouldDeny !== undefined) metrics.wouldDeny(decision.wouldDeny)
    decisions.record(check, decision, decisionId, durationMs)
  }
}

function outcomeOf(decision: Decision, unavailable: 'deny' | 'error'): 'allow' | 'deny' | 'error' {
  if (decision.allow) return 'allow'
  if (unavailable === 'deny') return 'deny'
  return decision.reason === 'key_manager_unavailable' || decision.reason === 'overloaded' ? 'error' : 'deny'
}
