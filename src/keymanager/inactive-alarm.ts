/**
 * The authentik trap (also frappe#42693): some servers answer 200 `active: false` to wrong credentials, which looks like
 * every token being inactive. Says so once, where the first introspections after a start or reload were all inactive.
 */
import type { Introspected, Log } from '../authz/ports.ts'

const FIRST = 20

/** Told every introspection's outcome, the probe's not. */
export function createInactiveAlarm(log: Log): (outcome: Introspected) => void {
  let inactive = 0
  let decided = false
  return (outcome) => {
    if (decided) return
    if (outcome.kind === 'active') decided = true
    if (outcome.kind !== 'inactive') return
    inactive += 1
    if (inactive < FIRST) return
    decided = true
    log.warn('all_inactive', {
      introspections: FIRST,
      detail:
        'every introspection since the start or reload was inactive: some key managers answer so to wrong credentials, or to a client that may not introspect these tokens. Check the client id, its secret and its rights',
    })
  }
}
