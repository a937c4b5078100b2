/** A sidecar just started, for what shows a status. */
import type { Status } from '../../src/server/status.ts'

export const STARTED: Status = {
  version: '1.2.3',
  ready: true,
  startedAt: '2026-11-25T09:00:00.000Z',
  configLoadedAt: '2026-11-25T09:00:00.000Z',
  restartRequired: false,
  checksInFlight: 0,
  keyManager: {
    url: 'https://idp.example.com/oauth2/introspect',
    breaker: 'closed',
    inFlight: 0,
    waiting: 0,
    lastError: undefined,
    pausedForMs: undefined,
    lastSuccess: undefined,
    lastFailure: undefined,
    ownToken: undefined,
    discovery: undefined,
  },
  cache: { active: 0, inactive: 0, activeCapacity: 10_000, inactiveCapacity: 1_000 },
  totals: { checks: { allow: 0, deny: 0, error: 0 }, denied: {}, introspections: {}, lookups: { hit: 0, miss: 0 } },
}

/** The same with another key manager's state. */
export function withKeyManager(changes: Partial<Status['keyManager']>, status: Status = STARTED): Status {
  return { ...status, keyManager: { ...status.keyManager, ...changes } }
}
