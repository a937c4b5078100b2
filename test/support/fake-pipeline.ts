/** A pipeline for tests of the transport: a scripted authorizer, replies by the loader's codec, and a server around both. */
import type { ActiveAnswer, Allowed, Authorizer, Decision, Denied } from '../../src/authz/ports.ts'
import { systemClock } from '../../src/clock.ts'
import { createCheckDecoder } from '../../src/envoy/check-request.ts'
import { loadedAuthorization } from '../../src/envoy/definition.ts'
import { createGrpcServer } from '../../src/server/grpc.ts'
import { createHealth } from '../../src/server/health.ts'
import type { Pipeline } from '../../src/server/pipeline.ts'
import { createDecisionLog } from '../../src/telemetry/decision-log.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { replySlot } from './authz.ts'

const answer: ActiveAnswer = {
  active: true,
  claims: {
    sub: 'alice',
    username: undefined,
    clientId: undefined,
    iss: undefined,
    audience: [],
    scopes: [],
    tokenType: undefined,
    expSec: undefined,
    nbfSec: undefined,
    isAccessToken: true,
    isBound: false,
    json: '{"active":true,"sub":"alice"}',
  },
  storedAtMs: 0,
  lifeMs: 60_000,
  reply: replySlot(),
}

export const ALLOWED: Allowed = {
  allow: true,
  reason: 'allowed',
  cache: 'hit',
  answer,
  maxAgeSeconds: 60,
  wouldDeny: undefined,
}

export function denied(reason: Denied['reason'], detail = ''): Denied {
  const retryAfterSeconds = reason === 'key_manager_unavailable' || reason === 'overloaded' ? 1 : 0
  return { allow: false, reason, cache: 'none', scope: '', retryAfterSeconds, isOutage: retryAfterSeconds > 0, detail }
}

const STATUS: Readonly<Partial<Record<Denied['reason'], readonly [number, string]>>> = {
  inactive_token: [16, 'Unauthorized'],
  malformed_request: [3, 'BadRequest'],
  key_manager_unavailable: [14, 'ServiceUnavailable'],
  overloaded: [8, 'ServiceUnavailable'],
  internal_error: [13, 'InternalServerError'],
}

function encode(decision: Decision, decisionId: string): Buffer {
  const method = Object.values(loadedAuthorization)[0]
  if (method === undefined) throw new Error('no Check method in the definition')
  const dynamic_metadata = { fields: { decision_id: { stringValue: decisionId } } }
  if (decision.allow) {
    const headers = [{ header: { key: 'x-auth-subject', value: 'alice' } }]
    return method.responseSerialize({ status: { code: 0 }, ok_response: { headers }, dynamic_metadata })
  }
  const [code, http] = STATUS[decision.reason] ?? [7, 'Forbidden']
  return method.responseSerialize({ status: { code }, denied_response: { status: { code: http } }, dynamic_metadata })
}

/** The authorizer decides; everything else can be overridden too. */
export function fakePipeline(authorize: Authorizer['authorize'], overrides: Partial<Pipeline> = {}): Pipeline {
  return {
    decode: createCheckDecoder({ credentialsHeader: 'authorization' }),
    authorizer: { authorize },
    encode,
    timeoutMs: 2000,
    unavailable: 'deny',
    ...overrides,
  }
}

/** Everything a server needs, real but for the pipeline. */
export function serverParts(pipeline: () => Pipeline) {
  const lines: string[] = []
  const log = createLog({ level: 'debug', write: (line) => lines.push(line), clock: systemClock })
  const metrics = createMetrics()
  const decisions = createDecisionLog({ allow: false, maxDenyPerSecond: 50 }, { log, clock: systemClock })
  const health = createHealth()
  const server = createGrpcServer({ pipeline, health, clock: systemClock, metrics, log, decisions })
  return { server, health, metrics, decisions, log, lines }
}
