/**
 * One gRPC call is one Check: arrival, decode, decide, encode, send, record.
 * Every way out sends gRPC status 0 with a reply that was built as a deny or by a decision to allow (P01, E01, E03):
 * a gRPC error is an ALLOW where Envoy's `failure_mode_allow` is on, and so is an empty reply.
 */
import type { handleUnaryCall, ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js'
import type { Cancellation, CheckView, Clock, Decision, Denied, Log } from '../authz/ports.ts'
import { systemClock } from '../clock.ts'
import type { DecisionLog } from '../telemetry/decision-log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { type BegunTrace, createTracing } from '../telemetry/trace.ts'
import { waitUntilMs } from './deadline.ts'
import { createDecisionIds } from './decision-id.ts'
import type { Pipeline } from './pipeline.ts'
import { createRecord } from './record.ts'
import { createWaiting } from './waiting.ts'

/**
 * `CheckResponse{status{code: 13}, denied_response{status{code: 500}}}` written out: for when even the encoder throws.
 * Field numbers from ext_authz.md section 1.
 */
const LAST_RESORT_DENY = Buffer.from([0x0a, 0x02, 0x08, 0x0d, 0x12, 0x05, 0x0a, 0x03, 0x08, 0xf4, 0x03])

/** A request that could not even be decoded, where the decoder broke its promise not to throw. */
const UNREADABLE: CheckView = {
  form: 'malformed',
  method: '',
  path: '',
  host: '',
  credentials: undefined,
  credentialsCount: 0,
  contextKey: '',
  contextExtensions: () => new Map(),
  header: () => undefined,
}

function deny(reason: 'internal_error' | 'key_manager_unavailable' | 'overloaded', detail: string): Denied {
  const isOutage = reason !== 'internal_error'
  return { allow: false, reason, cache: 'none', scope: '', retryAfterSeconds: isOutage ? 1 : 0, isOutage, detail }
}

const INTERNAL_ERROR = deny('internal_error', 'an exception while deciding')
const TOO_LATE = deny('key_manager_unavailable', 'decided after the deadline of the caller')
const TOO_MUCH = deny('overloaded', 'Checks that wait hold 32 MiB of requests')
const STOPPED = deny('key_manager_unavailable', 'the sidecar stops')
/** Nobody receives it; it is no error of anybody's, and no outage that Envoy could be told of. */
const CANCELLED: Denied = { ...deny('key_manager_unavailable', 'cancelled by the caller'), isOutage: false }

/** Apart from where it is used: what it closes over lives as long as the stream, and that need not be the whole Check. */
function tellOfCancellation(call: ServerUnaryCall<Buffer, Buffer>, cancellation: Cancellation): void {
  call.on('cancelled', () => {
    cancellation.cancelled = true
    cancellation.whenCancelled?.()
  })
}

/**
 * Bytes of the messages of all Checks that wait. Each keeps its own, and what HTTP/2 and gRPC made of it, some five times
 * as much: where the key manager hangs, as many requests as Envoy lets through would wait on one token.
 */
const MOST_WAITING_BYTES = 32 * 1024 * 1024

export interface CheckHandlerDependencies {
  /** The object graph of the newest configuration; read once per call. */
  readonly pipeline: () => Pipeline
  readonly clock: Clock
  readonly metrics: Metrics
  readonly decisions: DecisionLog
  readonly log: Log
  /** Begins the ids of its decisions; undefined: random. */
  readonly decisionIdPrefix?: string | undefined
}

export interface CheckHandler {
  readonly handle: handleUnaryCall<Buffer, Buffer>
  /** Checks that wait for an answer at this moment. */
  inFlight(): number
  /** Answers every Check that waits with a deny: a call cut off would be a gRPC error. */
  abandon(): void
}

export function createCheckHandler(dependencies: CheckHandlerDependencies): CheckHandler {
  const { pipeline, clock, metrics, log } = dependencies
  const record = createRecord(dependencies)
  const nextDecisionId = createDecisionIds(dependencies.decisionIdPrefix)
  const tracing = createTracing()
  const waiting = createWaiting<Decision>()
  let waitingBytes = 0

  /** `what` is ours; the exception's text is foreign and may quote the request. A log that fails costs a line, not an answer. */
  function report(what: string, thrown: unknown): void {
    try {
      log.error('check_failed', { what, error: thrown instanceof Error ? thrown.name : typeof thrown })
    } catch {
      // There is nowhere left to say so.
    }
  }

  function denyAtLast(callback: sendUnaryData<Buffer>): void {
    try {
      callback(null, LAST_RESORT_DENY)
    } catch (thrown) {
      report('answer', thrown)
    }
  }

  function encode(graph: Pipeline, decision: Decision, decisionId: string): Buffer | undefined {
    try {
      return graph.encode(decision, decisionId)
    } catch (thrown) {
      report('encode', thrown)
      return undefined
    }
  }

  /** The only place that sends. The clock is read after encoding, so that what is late is seen as late (E02, F28). */
  function answer(
    call: { readonly cancelled: boolean },
    callback: sendUnaryData<Buffer>,
    graph: Pipeline,
    check: CheckView,
    decided: Decision,
    arrivedAtMs: number,
    callerDeadlineAtMs: number,
    trace: BegunTrace | undefined,
  ): void {
    const decisionId = nextDecisionId()
    let decision = decided
    let reply = encode(graph, decision, decisionId)
    const answeredAtMs = clock.monotonicMs()
    const isCancelled = call.cancelled && (decision.allow || decision.reason === 'key_manager_unavailable')
    if (isCancelled || (decision.allow && answeredAtMs > callerDeadlineAtMs)) {
      decision = isCancelled ? CANCELLED : TOO_LATE
      reply = encode(graph, decision, decisionId)
    }
    if (reply === undefined) {
      decision = INTERNAL_ERROR
      reply = encode(graph, decision, decisionId) ?? LAST_RESORT_DENY
    }
    callback(null, reply)
    try {
      if (isCancelled) metrics.checkCancelled()
      record(check, decision, decisionId, answeredAtMs - arrivedAtMs, graph.unavailable, trace)
    } catch (thrown) {
      report('record', thrown)
    }
  }

  return {
    inFlight: () => waiting.size(),
    abandon() {
      waiting.settleAll(STOPPED)
    },
    handle(call, callback) {
      try {
        begin(call, callback)
      } catch (thrown) {
        // Before anything was sent: what comes after sending has a guard of its own.
        report('answer', thrown)
        denyAtLast(callback)
      }
    },
  }

  function begin(call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>): void {
    const arrivedAtMs = clock.monotonicMs()
    // grpc-js computed the deadline by the system's wall clock: the same clock says how much is left, whatever clock was injected.
    const deadline = call.getDeadline()
    const callerDeadlineAtMs =
      deadline === Number.POSITIVE_INFINITY ? deadline : arrivedAtMs + Number(deadline) - systemClock.wallMs()

    const graph = pipeline()
    let check = UNREADABLE
    let decided: Decision | Promise<Decision>
    let trace: BegunTrace | undefined
    const cancellation: Cancellation = { cancelled: call.cancelled, whenCancelled: undefined, trace: undefined }
    try {
      check = graph.decode(call.request)
      trace = tracing.begin(call.metadata, check)
      cancellation.trace = trace
      const untilMs = waitUntilMs(arrivedAtMs, callerDeadlineAtMs, graph.timeoutMs)
      decided = graph.authorizer.authorize(check, untilMs, cancellation)
    } catch (thrown) {
      report('decide', thrown)
      decided = INTERNAL_ERROR
    }
    if (!(decided instanceof Promise)) {
      answer(call, callback, graph, check, decided, arrivedAtMs, callerDeadlineAtMs, trace)
      return
    }

    const { length } = call.request
    const isTooMuch = waitingBytes + length > MOST_WAITING_BYTES
    const heldBytes = isTooMuch ? 0 : length
    waitingBytes += heldBytes
    trace?.wait()
    const settle = waiting.add((decision) => {
      try {
        waitingBytes -= heldBytes
        metrics.checksInFlight(-1)
        // What is known without an answer counts first: a path that no rule matches is refused, full or not.
        const isUnanswered = decision.allow || decision.reason === 'key_manager_unavailable'
        const said = isTooMuch && isUnanswered ? TOO_MUCH : decision
        answer(call, callback, graph, check, said, arrivedAtMs, callerDeadlineAtMs, trace)
      } catch (thrown) {
        report('answer', thrown)
        denyAtLast(callback)
      }
    })
    metrics.checksInFlight(1)
    tellOfCancellation(call, cancellation)
    // Neither throws, so that nothing is left to be caught: a `catch` would be one more turn of the microtask queue.
    void decided.then(settle, (thrown: unknown) => {
      report('decide', thrown)
      settle(INTERNAL_ERROR)
    })
    if (!isTooMuch) return
    // It leaves its flight as one whose caller did, and so is decided before the next turn.
    cancellation.cancelled = true
    cancellation.whenCancelled?.()
    setImmediate(settle, TOO_MUCH)
  }
}
